"""Reading WARC and ARC files: records, the HTTP message inside, and the charset of its page."""

from werp.read.archive import read_records
from werp.read.charset import decode_html
from werp.read.http import HttpError, HttpMessage, parse_http
from werp.read.records import Damage, Record

__all__ = [
    "Damage",
    "HttpError",
    "HttpMessage",
    "Record",
    "decode_html",
    "parse_http",
    "read_records",
]
