"""Personal data in a text, counted and never shown: addresses, telephone, card, account and identity numbers."""

from __future__ import annotations

import re

KINDS = {
    "mail": ("e-mail address", "e-mail addresses"),
    "phone": ("telephone number", "telephone numbers"),
    "card": ("card number", "card numbers"),
    "identity": ("Chinese identity number", "Chinese identity numbers"),
    "iban": ("bank account number", "bank account numbers"),
    "address": ("network address", "network addresses"),
}
_MAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}\b")
_CARD = re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?!\d|[,-]\d)")
_IDENTITY = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dXx])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_PHONE = re.compile(
    r"(?<![\d+.,/-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?(?:\d{2,4}[ .-]?){2,4}\d{2,4}"  # with its country
    r"|1[3-9]\d{9}|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}|0\d{9,10}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}"
    r")(?![\d-])"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def personal(text: str) -> dict[str, int]:
    """How often each kind of personal data is in a text; a number counts once, as the kind whose checksum it has."""
    found = {"mail": len(_MAIL.findall(text)) if "@" in text else 0}
    if not re.search(r"\d{2}", text):
        return {**dict.fromkeys(KINDS, 0), **found}
    for kind, pattern, holds in (
        ("iban", _IBAN, is_iban), ("identity", _IDENTITY, is_identity), ("card", _CARD, is_card),
        ("address", _ADDRESS, is_address), ("phone", _PHONE, bool),
    ):  # fmt: skip
        spans = [one.span() for one in pattern.finditer(text) if holds(one[0])]
        found[kind] = len(spans)
        for begin, end in spans:
            text = text[:begin] + "#" * (end - begin) + text[end:]
    return {kind: found[kind] for kind in KINDS}


def is_card(number: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812), of a number that is not one digit again and again."""
    digits = [int(one) for one in number if one.isdigit()]
    doubled = [one if place % 2 == 0 else 2 * one - 9 * (one > 4) for place, one in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0 and len(set(digits)) > 1 and digits[0] in (2, 3, 4, 5, 6)


def is_identity(number: str) -> bool:
    """The checksum of a Chinese identity number (GB 11643), and a date of birth within."""
    month, day = int(number[10:12]), int(number[12:14])
    if not (number[6:8] in ("19", "20") and 1 <= month <= 12 and 1 <= day <= 31):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()


def is_iban(number: str) -> bool:
    """The checksum of an international bank account number (ISO 13616): 1 modulo 97."""
    plain = number.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def is_address(number: str) -> bool:
    """Four numbers to 255 that are neither a version (1.2.3.4) nor a mask."""
    parts = [int(part) for part in number.split(".")]
    return all(part < 256 for part in parts) and parts[0] > 0 and max(parts) > 20 and parts[:2] != [255, 255]
