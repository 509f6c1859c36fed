"""Texts of every script, and their drawing. It imports nothing that a program of its own would not
need."""

from __future__ import annotations

from PIL import Image, ImageDraw

from images_emulator.imaging.text_layout import Line, lines

SIZE = 42

FAMILY = "👩‍👩‍👧‍👦"

SCRIPTS = {
    "Latin": "Une façade naïve — “Żółw”, Þórr & Ōsaka",
    "Greek": "Ένας φάρος στο ηλιοβασίλεμα",
    "Cyrillic": "Маяк на закате, їжак",
    "Arabic": "منارة عند الغروب، لوحة زيتية ١٢٣ قاربًا",
    "Persian": "فانوس دریایی می‌خواهم",
    "Urdu": "غروب آفتاب کے وقت مینارِ نور ٹھنڈی",
    "Hebrew": "מגדלור בשקיעה, שָׁלוֹם",
    "Dhivehi": "ދިވެހި",
    "Hindi": "सूर्यास्त के समय प्रकाशस्तंभ, क्षत्रिय",
    "Bengali": "সূর্যাস্তের সময় বাতিঘর",
    "Punjabi": "ਸੂਰਜ ਡੁੱਬਣ",
    "Gujarati": "ગુજરાતી દીવાદાંડી",
    "Odia": "ଓଡ଼ିଆ ସୂର୍ଯ୍ୟାସ୍ତ",
    "Tamil": "சூரிய அஸ்தமனத்தில் கலங்கரை",
    "Telugu": "సూర్యాస్తమయం వద్ద",
    "Kannada": "ಸೂರ್ಯಾಸ್ತ ದೀಪಸ್ತಂಭ",
    "Malayalam": "സൂര്യാസ്തമയ സമയത്തെ",
    "Sinhala": "හිරු බැස යන විට",
    "Thai": "ประภาคารยามพระอาทิตย์ตกดิน",
    "Lao": "ຕາເວັນຕົກດິນ",
    "Khmer": "ប៉មភ្លើងហ្វារនៅពេលថ្ងៃលិច",
    "Burmese": "နေဝင်ချိန် မီးပြတိုက် လျှို့ဝှက်",
    "Simplified Chinese": "黄昏时的灯塔,油画风格。",
    "Traditional Chinese": "黃昏時的燈塔,油畫風格。",
    "Japanese": "夕暮れの灯台、「カモメ」が飛んでいる。",
    "Korean": "해질녘의 등대, 똠방각하 펲시콜라",
    "Georgian": "შუქურა მზის ჩასვლისას",
    "Armenian": "Փարոս մայրամուտին",
    "Amharic": "ፀሐይ ስትጠልቅ",
    "Inuktitut": "ᐃᓄᒃᑎᑐᑦ",
    "emoji": f"🐱 🚀 ❤️ {FAMILY} 👍🏽 🇩🇪 1️⃣ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ✨",
}


def draw(text: str, size: int = SIZE) -> tuple[tuple[Line, ...], Image.Image]:
    """The lines of *text* in that size, and their ink on black."""
    laid_out = lines(text, size, 20 * size, 5)
    canvas = Image.new("L", (22 * size, 9 * size), 0)
    for place, line in enumerate(laid_out):
        line.draw(ImageDraw.Draw(canvas), size, size * (1 + 1.35 * place), 255)
    return laid_out, canvas
