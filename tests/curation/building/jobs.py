"""Work for tests of workers: functions of a module, since worker processes import them by name."""

import os
import time
from pathlib import Path


def square(job):
    time.sleep(job.get("sleep", 0))
    return {"square": job["x"] ** 2, "pid": os.getpid(), **({"odd": True} if job["x"] % 2 else {})}


def refuse(job):
    if job["x"] == 3:
        raise ValueError("three is not to be squared; leave it out")
    return job["x"]


def look_for_nothing(job):
    return Path(f"/nowhere/{job['x']}").read_text()


def die(job):
    if job["x"] == 3:
        os.kill(os.getpid(), 9)
    return job["x"]


def write(job):
    from skymm.curation.building.manifest import entries

    path = Path(job["directory"]) / f"{job['x']}.txt"
    path.write_text("x" * job["x"])
    with (Path(job["directory"]) / "made.log").open("a") as log:
        log.write(f"{job['x']}\n")
    return {"files": entries(path.parent, [path]), "count": job["x"]}


def fill_the_disk(job):
    """A real limit on the size of files, as a full disk or a quota would be."""
    import resource
    import signal

    from skymm.files import whole_file

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with whole_file(Path(job["directory"]) / f"{job['x']}.bin") as file:
            file.write(bytes(job["x"] * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return {"files": {}}
