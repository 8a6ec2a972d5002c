"""Questions made up for what the data lack: heads and feet of official documents, and key words.

The reports to train on are speeches, without 文号, 签发人 or 主送机关; and every question is a sentence.
"""

import random
import re
from dataclasses import replace

from index.documents import parse
from index.passages import passages
from index.types import Role, Span
from search.query import normalise
from search.training.data import Data, Example, Report

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_NAMES = "伟芳娜敏静丽强磊军洋勇艳杰涛明超秀兰霞平刚桂英华文建国志红新春海波宁浩亮"
_PLACES = ("青川县", "临江市", "东湖区", "云岭省", "平原市", "南山县", "海城市", "北安市", "西岭区")
_SUBJECTS = (
    "法治政府建设情况", "政务公开工作情况", "生态环境保护工作情况", "财政预算执行情况",
    "安全生产工作情况", "优化营商环境工作情况", "教育督导工作情况", "行政执法工作情况",
)  # fmt: skip
_ASKED: dict[Role, tuple[str, ...]] = {
    "发文字号": (
        "文号是多少",
        "这份文件的发文字号是什么",
        "是几号文",
        "哪一号文件发的",
        "文件编号",
    ),
    "签发人": ("谁签发的", "签发人是谁", "这个文件由哪位领导签发", "最后签字的是谁", "谁签的字"),
    "主送机关": (
        "主送机关是哪里",
        "这份报告是写给谁的",
        "报给哪个机关",
        "文件发给谁",
        "抬头写的谁",
    ),
    "成文日期": (
        "什么时候发的",
        "成文日期是哪天",
        "落款写的几月几号",
        "文件是哪一天印发的",
        "哪天出的",
    ),
    "发文机关": (
        "哪个单位发的文",
        "发文机关是谁",
        "这份报告是谁写的",
        "落款单位是哪个",
        "谁发布的",
    ),
    "标题": ("这份文件叫什么", "报告的标题是什么", "题目是什么", "全名叫什么"),
}
_NOT_TOLD = (
    "联系电话是多少", "起草人是谁", "密级是什么", "印了多少份", "附件有几个", "抄送给哪些单位",
    "签发人今年多大", "文件有效期到哪天", "什么时候开始施行", "谁负责解释",
)  # fmt: skip


def heads(count: int, seed: int) -> tuple[dict[str, Report], list[Example]]:
    """Return documents of nothing but head, one paragraph and foot, and questions on them."""
    draw = random.Random(seed)
    reports: dict[str, Report] = {}
    examples: list[Example] = []
    for number in range(count):
        name = f"head{number}"
        document = parse(_text(draw).encode(), name=f"{name}.txt")
        report = Report(document, passages(document))
        reports[name] = report
        for place, passage in enumerate(report.passages):
            if passage.role in _ASKED:
                question = draw.choice(_ASKED[passage.role])
                own = _own(passage.text)
                examples.append(Example(name, question, "head", question, place, own, own))
        for question in draw.sample(_NOT_TOLD, 2):
            examples.append(Example(name, question, "unanswerable", question))
    return reports, examples


def keywords(data: Data, count: int, seed: int) -> list[Example]:
    """Return key words in place of questions: one or two stretches of a quote, the answer."""
    draw = random.Random(seed)
    long = [e for e in data.examples if e.quote and e.quote[1] - e.quote[0] >= 12]
    examples = []
    for example in draw.sample(long, min(count, len(long))):
        assert example.place is not None and example.quote
        start, end = example.quote
        middle = (start + end) // 2
        text = data.reports[example.report].passages[example.place].text
        parts = (_stretch(text, start, middle, draw), _stretch(text, middle, end, draw))
        question = normalise("、".join(parts[: draw.randint(1, 2)])).text
        examples.append(
            replace(
                example,
                question=question,
                stripped=question,
                type="keyword",
                answer=example.quote,
                near=None,
            )
        )
    return examples


def elsewhere(data: Data, count: int, seed: int) -> list[Example]:
    """Return questions with another place or year in place of their own: the report has no answer."""
    draw = random.Random(seed)
    regions = sorted({r for report in data.reports.values() if (r := report.document.region)})
    asked = [e for e in data.examples if e.place is not None and e.quote]
    examples = []
    for example in draw.sample(asked, len(asked)):
        region = data.reports[example.report].document.region
        year = re.search(r"20\d\d(?=年)", example.question)
        if region and region in example.question and len(regions) > 1:
            other = draw.choice([name for name in regions if name != region])
            question = example.question.replace(region, other)
        elif year:
            other = str(int(year[0]) - draw.randint(2, 9))
            question = example.question.replace(year[0], other)
        else:
            continue
        assert example.place is not None and example.quote
        near = (example.place, example.quote)
        examples.append(Example(example.report, question, "unanswerable", question, near=near))
    return examples[:count]


def _stretch(text: str, start: int, end: int, draw: random.Random) -> str:
    """Return three to six characters within bounds."""
    length = draw.randint(3, 6)
    at = draw.randint(start, max(start, end - length))
    return text[at : min(at + length, end)]


def _own(text: str) -> Span:
    """Return the span of a field without 「签发人：」, 「文件」 and the colon after an addressee."""
    start = text.index("：") + 1 if text.startswith("签发人") else 0
    return start, len(text.removesuffix("文件").removesuffix("："))


def _text(draw: random.Random) -> str:
    place, subject = draw.choice(_PLACES), draw.choice(_SUBJECTS)
    year = draw.randint(2010, 2025)
    office = draw.choice(("人民政府", "人民政府办公室"))
    issuer = place + office
    signer = draw.choice(_SURNAMES) + "".join(draw.sample(_NAMES, draw.randint(1, 2)))
    number = (
        f"{place[0]}政{draw.choice(('发', '文', '办', '函'))}〔{year + 1}〕{draw.randint(1, 199)}号"
    )
    to = draw.choice(
        ("省人民政府", "市人民政府", "国务院", "市委、市政府", "省财政厅", "市人大常委会")
    )
    day = f"{year + 1}年{draw.randint(1, 12)}月{draw.randint(1, 28)}日"
    return (
        f"{issuer}文件\n{number}　　签发人：{signer}\n"
        f"{issuer}关于{place}{year}年度{subject}的报告\n{to}：\n"
        f"　　现将{place}{year}年度{subject}报告如下。\n"
        f"一、主要工作\n　　{year}年，{place}加强组织领导，健全工作机制，各项任务有序推进。\n"
        f"二、下一步打算\n　　继续抓好落实，补齐短板，推动工作再上新台阶。\n{issuer}\n{day}\n"
    )
