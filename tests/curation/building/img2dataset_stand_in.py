"""What img2dataset leaves on disk, out of pictures of this disk: the real one takes ten seconds to start.

`https://pictures.example/N` is the N-th miniature picture; every other address is not there.
"""

import io
import json
import tarfile
from pathlib import Path


def download(**arguments):
    import pyarrow
    from curation.sources.miniatures import picture
    from pyarrow import parquet

    out, size = Path(arguments["output_folder"]), arguments["number_sample_per_shard"]
    out.mkdir(exist_ok=True)
    rows = [
        row
        for path in sorted(Path(arguments["url_list"]).glob("*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]
    digits = len(str(size - 1))
    for number in range(-(-len(rows) // size)):
        outcomes = []
        with tarfile.open(out / f"{number:05d}.tar", "w") as tar:
            for index, row in enumerate(rows[number * size : (number + 1) * size]):
                key = f"{10**digits * number + index:0{digits + 5}d}"
                there = row["url"].startswith("https://pictures.example/")
                outcome = {"key": key, "status": "success" if there else "failed_to_download", "exif": "{}"}
                outcomes.append({**row, **outcome, "error_message": None if there else "HTTP Error 404: Not Found"})
                if there:
                    members = {"jpg": picture(int(row["url"].rpartition("/")[2])), "txt": row["caption"].encode()}
                    for suffix, data in {**members, "json": json.dumps(outcome).encode()}.items():
                        info = tarfile.TarInfo(f"{key}.{suffix}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
        parquet.write_table(pyarrow.Table.from_pylist(outcomes), out / f"{number:05d}.parquet")
        (out / f"{number:05d}_stats.json").write_text("{}")
