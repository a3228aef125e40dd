"""What an audit finds, in sentences, in English and Chinese; `find_NAME` is the sentence of the finding NAME."""

from __future__ import annotations

ENGLISH = {
    "find_nothing": "Not one sample can be read.",
    "find_bad_shards": "{count} of {total} shards cannot be read to the end, the first: {message}",
    "find_unreadable": "{count} samples ({part}) cannot be used: {reasons}. Training skips them.",
    "find_checked": "{reason}: {count} samples ({part}) may not be trained on.",
    "find_bad_facts": "{count} samples have facts of another form, which nobody can read.",
    "find_pictures_not_shown": "{count} pictures are in the shards, and no question shows them.",
    "find_card": "A card cannot be read: {message}",
    "find_captions_only": "Captions only: no answer says what is not there. Right for the first stage, too "
    "little for the second.",
    "find_all_positive": "Not one of {count} answers is negative: a model never hears that something is not "
    "there, and learns to say yes.",
    "find_all_negative": "Not one of {count} answers is positive: a model learns to deny everything.",
    "find_mostly_positive": "{part} of answers are positive ({count} of {total}): a model learns to say yes.",
    "find_mostly_negative": "{part} of answers are negative ({count} of {total}): a model learns to deny.",
    "find_no_polarity": "{part} of answers ({count}) do not say whether they are positive or negative, so no "
    "recipe can balance them.",
    "find_polarity_against_answer": "{count} answers ({part}) say yes and are marked negative, or say no and "
    "are marked positive.",
    "find_kind_leans": "{part} of {count} answers are positive among: {kind}, {language}.",
    "find_yes_leans": "{part} of {count} yes/no answers say {answer} ({language}): saying it always is right as often.",
    "find_guessed": "{kind}, {language}: the question's words alone give {part} of the answers; always "
    "“{answer}” gives {same}. A model need not look. Yes by word: {words}.",
    "find_guessed_open": "{kind}, {language}: {part} of the answers can be told from the question alone, "
    "mostly “{answer}” ({same}).",
    "find_guessed_before": "What was said before in the conversation gives {part} of the yes/no answers, where "
    "always the same gives {same}: answers of a conversation hang together.",
    "find_only_positive": "{count} things are only ever asked for where they are, such as “{name}” ({asked} "
    "questions): yes is right for these words without looking, in {part} of existence questions.",
    "find_only_positive_one": "“{name}” is only ever asked for where it is: {asked} questions.",
    "find_only_negative": "{count} things are only ever asked for where they are not, such as “{name}” "
    "({asked} questions): no is right for these words without looking, in {part} of existence questions.",
    "find_only_negative_one": "“{name}” is only ever asked for where it is not: {asked} questions.",
    "find_denied_facts": "{count} questions deny what the facts of their picture say is there, such as {example}.",
    "find_keys": "{count} keys stand twice in one directory.",
    "find_wholes": "{count} samples ({part}) are exact copies of others: {within} of some in the same shard, {across} of "
    "some in other shards.",
    "find_repeated_texts": "{count} conversations ({part}) that say more than yes or no stand elsewhere word for word.",
    "find_repeated_pictures": "{count} pictures ({part}) stand several times, with different conversations.",
    "find_alike": "{count} samples ({part}) are nearly the same as earlier ones, by {name}.",
    "find_few_of_language": "Only {count} answers are in this language: {language}.",
    "find_only_en": "English only: 0 Chinese answers.",
    "find_only_zh": "Chinese only: 0 English answers.",
    "find_other_script": "{count} answers ({part}) are written in another language than they say.",
    "find_one_word": "{part} of the answers are a single word ({language}): a model may forget how to say more.",
    "find_no_kinds": "No answer says of what kind it is, so kinds cannot be balanced or compared.",
    "find_small": "{part} of pictures ({count}) are under {side} px.",
    "find_long": "{part} of pictures ({count}) are more than {aspect} times as long as wide, or the other way round.",
    "find_no_licence": "Licences unknown for {count} samples.",
    "find_no_source": "Sources unknown for {count} samples.",
}

CHINESE = {
    "find_nothing": "没有一个样本可以读取。",
    "find_bad_shards": "{total} 个分片中有 {count} 个无法读到结尾，第一个：{message}",
    "find_unreadable": "{count} 个样本（{part}）无法使用：{reasons}。训练时会跳过它们。",
    "find_checked": "{reason}：{count} 个样本（{part}）不可用于训练。",
    "find_bad_facts": "{count} 个样本的事实格式不对，无法读取。",
    "find_pictures_not_shown": "分片中有 {count} 张图片没有被任何问题用到。",
    "find_card": "卡片无法读取：{message}",
    "find_captions_only": "只有图片描述：没有回答说明什么不存在。适合第一阶段，用于第二阶段则不够。",
    "find_all_positive": "{count} 个回答中没有一个是负的：模型从未听到某物不存在，会学成总说“是”。",
    "find_all_negative": "{count} 个回答中没有一个是正的：模型会学成一概否认。",
    "find_mostly_positive": "{part} 的回答是正的（{total} 个中的 {count} 个）：模型会学成总说“是”。",
    "find_mostly_negative": "{part} 的回答是负的（{total} 个中的 {count} 个）：模型会学成总是否认。",
    "find_no_polarity": "{part} 的回答（{count} 个）没有注明正负，任何配方都无法平衡它们。",
    "find_polarity_against_answer": "{count} 个回答（{part}）说“是”却标为负，或说“否”却标为正。",
    "find_kind_leans": "{kind}（{language}）的 {count} 个回答中，{part} 是正的。",
    "find_yes_leans": "{count} 个是非回答中，{part} 答“{answer}”（{language}）：一律这样答，正确率就有这么高。",
    "find_guessed": "{kind}（{language}）：只凭问题的用词就能答对 {part}，而一律答“{answer}”只有 {same}。"
    "模型不必看图。各词对应“是”的比例：{words}。",
    "find_guessed_open": "{kind}（{language}）：{part} 的回答只看问题就能猜到，最常见的是“{answer}”（{same}）。",
    "find_guessed_before": "只凭同一对话中前面的回答就能猜对 {part} 的是非回答，而一律答同一个只有 {same}："
    "同一对话中的回答互相关联。",
    "find_only_positive": "有 {count} 种事物只在它们存在时才被问到，例如“{name}”（{asked} 个问题）："
    "看到这些词不看图答“是”就对，占存在类问题的 {part}。",
    "find_only_positive_one": "“{name}”只在它存在时才被问到：{asked} 个问题。",
    "find_only_negative": "有 {count} 种事物只在它们不存在时才被问到，例如“{name}”（{asked} 个问题）："
    "看到这些词不看图答“否”就对，占存在类问题的 {part}。",
    "find_only_negative_one": "“{name}”只在它不存在时才被问到：{asked} 个问题。",
    "find_denied_facts": "{count} 个问题否认了图片事实中明明存在的东西，例如 {example}。",
    "find_keys": "同一目录中有 {count} 个键重复出现。",
    "find_wholes": "{count} 个样本（{part}）与其他样本完全相同：{within} 个在同一分片内，{across} 个与别的分片相同。",
    "find_repeated_texts": "{count} 段对话（{part}）不只是“是”或“否”，却在别处一字不差地出现。",
    "find_repeated_pictures": "{count} 张图片（{part}）多次出现，配有不同的对话。",
    "find_alike": "按 {name} 判断，{count} 个样本（{part}）与前面的样本几乎相同。",
    "find_few_of_language": "{language}的回答只有 {count} 个。",
    "find_only_en": "只有英文：中文回答为 0。",
    "find_only_zh": "只有中文：英文回答为 0。",
    "find_other_script": "{count} 个回答（{part}）所用的语言与注明的不同。",
    "find_one_word": "{part} 的{language}回答只有一个词：模型可能会忘记怎样多说几句。",
    "find_no_kinds": "没有回答注明属于哪一类，因此无法按类平衡或比较。",
    "find_small": "{part} 的图片（{count} 张）小于 {side} 像素。",
    "find_long": "{part} 的图片（{count} 张）长宽比超过 {aspect}。",
    "find_no_licence": "{count} 个样本的许可证不明。",
    "find_no_source": "{count} 个样本的来源不明。",
}
