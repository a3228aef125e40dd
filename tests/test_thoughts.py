"""What is an answer and what is a thought, in the marks of the models that think aloud."""

from __future__ import annotations

import pytest

from skymm.thoughts import without_thoughts

NO_DOG = "There is a leash. Yes? No dog though."
ANSWERED = {
    "think": "<think>{}</think>\n\nNo",
    "think, opened by the template": "{}\n</think>\n\nNo",
    "empty think": "<think>\n\n</think>\n\nNo",
    "think twice": "<think>{}</think> Yes, hm. <think>{}</think> No",
    "capitals and spaces": "< THINK >{}</ Think >No",
    "thinking": "<thinking>{}</thinking>\nNo",
    "attributes": '<thinking budget="512">{}</thinking>No',
    "thought": "<thought>{}</thought>No",
    "reasoning and answer": "<reasoning>{}</reasoning><answer>No</answer>",
    "answer never closed": "<think>{}</think><answer>No",
    "think never closed before an answer": "<think>{}\n<answer>No</answer>",
    "answer amid words": "<think>{}</think>I looked. <answer> No </answer> That is all, yes.",
    "answer alone": "It may be, yes. <answer>No</answer>",
    "names of the answer in the thought": "<think>{} I write <answer>Yes</answer> or not.</think><answer>No</answer>",
    "seed": "<seed:think>{}</seed:think>No",
    "Kimi": "◁think▷{}◁/think▷No",
    "Kimi, opened by the template": "{}◁/think▷ No",
    "Magistral": "[THINK]{}[/THINK]No",
    "other brackets": "[reasoning]{}[/reasoning]No",
    "with a long name": "<think_never_used_51bce0c7>{}</think_never_used_51bce0c7>No",
    "s1": "<|im_start|>think\n{}<|im_end|>\n<|im_start|>answer\nNo",
    "other names": "<planning>{}</planning><ponder>{}</ponder>No",
    "Sky": "<|begin_of_thought|>\n{}\n<|end_of_thought|>\n<|begin_of_solution|>\nNo\n<|end_of_solution|>",
    "Command": "<|START_THINKING|>{}<|END_THINKING|><|START_RESPONSE|>No<|END_RESPONSE|>",
    "GLM": "<think>{}</think><answer><|begin_of_box|>No<|end_of_box|></answer>",
    "LLaVA-CoT": "<SUMMARY>I will look.</SUMMARY><CAPTION>A dog?</CAPTION><REASONING>{}</REASONING><CONCLUSION>No</CONCLUSION>",
    "Huatuo": "## Thinking\n\n{}\n\n## Final Response\n\nNo",
    "MedGemma": "<unused94>thought\n{}<unused95>No",
    "pages": '<details type="reasoning" done="true"><summary>Thought for 3 seconds</summary>{}</details>\nNo',
    "escaped": "&lt;think&gt;{}&lt;/think&gt;No",
    "Harmony": "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>No<|return|>",
    "Harmony without its marks": "analysisWe look. {}assistantfinalNo",
    "Chinese": "<思考>{}</思考><答案>No</答案>",
    "Chinese brackets": "【思考】{}【/思考】【答案】No",
    "Chinese brackets, the thought is not closed": "【思考】{}\n【最终答案】No",
    "headings": "### Reasoning\n\n{}\n\n### Answer\nNo",
    "an answer behind its heading": "Thinking Process:\n1. {}\n\nFinal Answer: No",
    "Chinese headings": "推理过程：\n{}\n答案：No",
}
CUT = [
    "<think>{}", "<thinking>{}", "Hm.\n<reasoning>{}", "◁think▷{}", "[THINK]{}", "<|begin_of_thought|>{}", "{}</think>",
    "{}◁/think▷\n", "<think>a</think>Yes<think>{}", "<|channel|>analysis<|message|>{}", "analysisWe look. {}",
    "## Thinking\n\n{}", "<think>{} I write <answer>Yes</answer> or <answer>No</answer>, so", "&lt;think&gt;{}",
    "<|channel|>analysis<|message|>{}<|end|>",
]  # fmt: skip
PLAIN = [
    "No", "a < b > c", "[THINKER] no", "<img src='a'> a dog", "I think so", "thinking about it, no", "analysis of it: no",
    "The final answer is no", "<answer></answer>No", "Final answer\nNo", "<s>No</s>", "<b>No</b>", "<details>No</details>",
    "Thinking cap: a hat\n", "Reasoning\nNo, there is none.", "No. Analysis:\nAnswer: it is not", "分析：没有",
    "[Reasoning] No", "I see, [thinking] well, no",
]  # fmt: skip


def test_the_answer_is_what_follows_the_thoughts():
    for name, form in ANSWERED.items():
        assert without_thoughts(form.format(NO_DOG, NO_DOG)).strip() == "No", name


def test_a_thought_that_was_cut_is_no_answer():
    for form in CUT:
        assert without_thoughts(form.format(NO_DOG)).strip() == "", form


def test_what_is_no_thought_stays():
    assert [text for text in PLAIN if without_thoughts(text) != text] == []


@pytest.mark.timeout(20)
def test_long_texts_take_no_time():
    marks = ("<think>", "</think>", "<answer>", "<", "<|", "◁", "[THINK]", "<details reasoning", "< ", "</think>\n")
    for mark in marks:
        without_thoughts(mark * 30_000)
