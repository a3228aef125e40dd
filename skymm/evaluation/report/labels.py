"""What benchmarks call their metrics, tables and the entries of these, in the words of the page.

Names that are not here stand as the benchmark has them, so a new benchmark needs nothing in this file.
"""

from __future__ import annotations

from collections.abc import Mapping

from skymm.evaluation.report.words import Words

ENGLISH = {  # shorter, for charts
    "commonsense_reasoning": "commonsense",
    "numerical_calculation": "calculation",
    "text_translation": "translation",
    "code_reasoning": "code",
    "en": "English",
    "zh": "Chinese",
}

CHINESE = {
    "Chinese scenes": "中文场景",
    # metrics
    "accuracy": "准确率",
    "precision": "精确率",
    "recall": "召回率",
    "says yes": "答“是”的比例",
    "yes ratio": "答“是”的比例",
    "perception (of 2000)": "感知（满分 2000）",
    "cognition (of 800)": "认知（满分 800）",
    "in Chinese": "中文",
    "in English": "英文",
    "Chinese less English": "中文减英文",
    "right in every rotation": "每种轮换都对",
    "right as asked first": "首次所问答对",
    "with options": "选择题",
    "open": "开放题",
    "length": "长度",
    "F1 of No": "“否”的 F1",
    "precision of No": "“否”的精确率",
    "recall of No": "“否”的召回率",
    "CHAIRi, lower is better": "CHAIRi（越低越好）",
    "CHAIRs, lower is better": "CHAIRs（越低越好）",
    "responses with a hallucination, lower is better": "有幻觉的回答（越低越好）",
    "hallucinated objects, lower is better": "幻觉物体（越低越好）",
    "yes/no and choices": "是非与选择",
    "all questions": "全部问题",
    "question pairs": "问题对",
    "figures": "图",
    "percent of the reference": "参考答案的百分比",
    "mean grade": "平均评分",
    "pairs right": "整对答对",
    "answers right": "答对",
    "pairs right, mean of patterns": "整对答对（各模式平均）",
    # tables
    "subtasks": "子任务",
    "capabilities": "能力",
    "abilities": "能力",
    "axes": "细分能力",
    "categories": "类别",
    "domains": "领域",
    "subjects": "学科",
    "splits": "划分",
    "settings": "设置",
    "patterns": "模式",
    "languages": "语言",
    "kinds": "种类",
    "forms": "题型",
    "scripts": "字体",
    "types": "类型",
    "structural": "结构",
    "semantic": "语义",
    "integrations": "能力组合",
    "sources": "来源",
    # entries
    "existence": "存在",
    "count": "计数",
    "position": "位置",
    "color": "颜色",
    "posters": "海报",
    "celebrity": "名人",
    "scene": "场景",
    "landmark": "地标",
    "artwork": "艺术品",
    "OCR": "文字识别",
    "commonsense_reasoning": "常识推理",
    "numerical_calculation": "数值计算",
    "text_translation": "文本翻译",
    "code_reasoning": "代码推理",
    "en": "英文",
    "zh": "中文",
    "yes_no": "是非",
    "choice": "选择",
    "short": "简答",
    "simplified": "简体",
    "traditional": "繁体",
    "both": "简繁相同",
    "culture": "文化",
    "lookup": "查找",
    "naming": "命名",
    "presence": "有无",
    "price": "价格",
    "reading": "读字",
    "script": "字体",
    "translation": "翻译",
    "random": "随机",
    "popular": "常见",
    "adversarial": "对抗",
}

LABELS: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh-CN": CHINESE}


def named(name: str, words: Words) -> str:
    """A name as the page has it: in the language of the words, else as it is, with spaces for underscores."""
    return LABELS[words["html_language"]].get(name, name.replace("_", " "))
