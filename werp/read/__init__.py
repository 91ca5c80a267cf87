"""Reading WARC and ARC files (records, the HTTP message inside, the charset of its page) and rows of text."""

from werp.read.archive import read_records
from werp.read.charset import decode_html
from werp.read.http import HttpError, HttpMessage, parse_http
from werp.read.records import Damage, Record
from werp.read.rows import Given, is_rows, read_rows

__all__ = [
    "Damage",
    "Given",
    "HttpError",
    "HttpMessage",
    "Record",
    "decode_html",
    "is_rows",
    "parse_http",
    "read_records",
    "read_rows",
]
