"""The provinces and their cities, as questions name them.

From the list of administrative divisions of the Ministry of Civil Affairs. Two characters of other words
are often the name of a city (均衡水平, 建成都市圈, 下达州市): a city counts only where a word begins, at
the start of a question, behind a year, a place, a mark or 在, 到, 和 and the like. What begins other words
(长春节, 文山会海) counts only with its 市, 州 or 地区.
"""

import re

from index.types import AUTONOMOUS

_CITIES = {
    "河北": "石家庄 唐山 秦皇岛 邯郸 邢台 保定市 张家口 承德 沧州 廊坊 衡水",
    "山西": "太原 大同市 阳泉 长治市 晋城 朔州 晋中市 运城 忻州 临汾 吕梁",
    "内蒙古": "呼和浩特 包头 乌海市 赤峰 通辽 鄂尔多斯 呼伦贝尔 巴彦淖尔 乌兰察布 锡林郭勒 阿拉善 兴安盟",
    "辽宁": "沈阳 大连市 鞍山 抚顺 本溪 丹东 锦州 营口 阜新 辽阳 盘锦 铁岭 朝阳市 葫芦岛",
    "吉林": "长春市 四平市 辽源 通化市 白山市 松原 白城市 延边",
    "黑龙江": "哈尔滨 齐齐哈尔 鸡西 鹤岗 双鸭山 大庆市 伊春 佳木斯 七台河 牡丹江 黑河市 绥化 大兴安岭",
    "江苏": "南京 无锡 徐州 常州 苏州 南通市 连云港 淮安 盐城 扬州 镇江 泰州 宿迁",
    "浙江": "杭州 宁波 温州 嘉兴 湖州 绍兴 金华 衢州 舟山 台州 丽水",
    "安徽": "合肥 芜湖 蚌埠 淮南市 马鞍山 淮北市 铜陵 安庆 黄山市 滁州 阜阳 宿州 六安市 亳州 池州 宣城",
    "福建": "福州 厦门 莆田 三明市 泉州 漳州 南平市 龙岩 宁德市",
    "江西": "南昌 景德镇 萍乡 九江 新余市 鹰潭 赣州 吉安市 宜春市 抚州 上饶市",
    "山东": "济南 青岛 淄博 枣庄 东营市 烟台 潍坊 济宁 泰安市 威海 日照市 临沂 德州市 聊城 滨州 菏泽",
    "河南": "郑州 开封市 洛阳 平顶山 安阳 鹤壁 新乡市 焦作 濮阳 许昌 漯河 三门峡 南阳市 商丘 信阳 周口市 驻马店"
    " 济源市",
    "湖北": "武汉 黄石市 十堰 宜昌 襄阳 鄂州 荆门 孝感 荆州 黄冈 咸宁 随州 恩施 仙桃 潜江 天门市 神农架",
    "湖南": "长沙 株洲 湘潭 衡阳 邵阳 岳阳 常德 张家界 益阳 郴州 永州 怀化市 娄底 湘西",
    "广东": "广州 韶关 深圳 珠海 汕头 佛山 江门市 湛江 茂名 肇庆 惠州 梅州 汕尾 河源市 阳江 清远市 东莞 中山市"
    " 潮州 揭阳 云浮",
    "广西": "南宁 柳州 桂林 梧州 北海市 防城港 钦州 贵港 玉林市 百色 贺州 河池市 来宾市 崇左",
    "海南": "海口市 三亚 三沙市 儋州",
    "四川": "成都 自贡 攀枝花 泸州 德阳 绵阳 广元市 遂宁 内江市 乐山市 南充市 眉山 宜宾 广安市 达州 雅安 巴中市"
    " 资阳市 阿坝 甘孜 凉山州",
    "贵州": "贵阳 六盘水 遵义 安顺市 毕节 铜仁 黔西南 黔东南 黔南",
    "云南": "昆明 曲靖 玉溪 保山市 昭通 丽江 普洱市 临沧 楚雄 红河州 文山州 西双版纳 大理州 德宏 怒江州 迪庆",
    "西藏": "拉萨 日喀则 昌都 林芝 山南市 那曲 阿里地区",
    "陕西": "西安 铜川 宝鸡 咸阳 渭南 延安市 汉中市 榆林 安康市 商洛",
    "甘肃": "兰州 嘉峪关 金昌 白银市 天水市 武威 张掖 平凉市 酒泉 庆阳 定西市 陇南 临夏 甘南州",
    "青海": "西宁 海东市 海北州 黄南州 海西州 果洛 玉树州",
    "宁夏": "银川 石嘴山 吴忠 固原市 中卫市",
    "新疆": "乌鲁木齐 克拉玛依 吐鲁番 哈密 昌吉 博尔塔拉 巴音郭楞 阿克苏 克孜勒苏 喀什 和田地区 伊犁 塔城"
    " 阿勒泰",
}
_PROVINCES = re.compile(
    "|".join(["北京", "天津", "上海", "重庆", "香港", "澳门", "台湾", *_CITIES, "内蒙"])
)
_SUFFIX = re.compile("(?<=..)(?:市|州|地区)$")
_WRITTEN = "|".join(city for cities in _CITIES.values() for city in cities.split())
_BEGINS = r"(?:^|(?<=[\W\d年月省市区问在到来去从与和跟往对向给比的]))"
_ROW = re.compile(
    rf"{_BEGINS}(?:{_PROVINCES.pattern})?(?:省|{AUTONOMOUS}区)?((?:(?:{_WRITTEN})市?)+)(?![河山])"
)
_CITY = re.compile(_WRITTEN)

PROVINCE_OF = {
    _SUFFIX.sub("", city): province
    for province, cities in _CITIES.items()
    for city in cities.split()
}
"""The province of each city."""


def places_in(text: str) -> list[str]:
    """Return the provinces and cities that a text names, as they are called without 市."""
    cities = [city for row in _ROW.findall(text) for city in _CITY.findall(row)]
    provinces = ["内蒙古" if name == "内蒙" else name for name in _PROVINCES.findall(text)]
    return [*provinces, *(_SUFFIX.sub("", city) for city in cities)]
