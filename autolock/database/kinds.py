"""Which kind of value a column holds, by the name of its type."""

from __future__ import annotations

_KINDS = {
    "int": "int integer biginteger smallinteger bigint smallint serial bigserial intfield bigintfield smallintfield"
    " integerfield autofield bigserialfield positiveint nonnegativeint",
    "float": "float real double double_precision floatfield doubleprecision",
    "decimal": "decimal numeric money decimalfield decimal128 condecimal",
    "str": "str string text unicode unicodetext varchar char citext autostring emailstr secretstr charfield textfield"
    " stringfield email httpurl anyurl emailfield constr nvarchar mediumtext longtext",
    "bool": "bool boolean booleanfield tinyint",
    "datetime": "datetime date time timestamp timestamptz interval timedelta awaredatetime datetimefield datefield"
    " timefield timedeltafield naivedatetime",
    "json": "json jsonb dict list array pickletype jsonfield dictfield listfield mapping set hstore",
    "enum": "enum strenum intenum enumfield sqlenum saenum charenumfield intenumfield pgenum sqlalchemyenum",
    "uuid": "uuid guid uuid4 uuid7 uuid1 uuidfield pguuid pg_uuid postgresuuid",
}
_BY_NAME = {name: kind for kind, names in _KINDS.items() for name in names.split()}
#: Parts of names of types that projects define for themselves.
_PARTS = (
    ("uuid", "uuid"),
    ("guid", "uuid"),
    ("json", "json"),
    ("datetime", "datetime"),
    ("timestamp", "datetime"),
    ("enum", "enum"),
    ("decimal", "decimal"),
    ("bool", "bool"),
    ("string", "str"),
    ("text", "str"),
    ("integer", "int"),
)


def kind_of(name: str) -> str:
    """The kind of the type called `name` (`String`, `PgUUID`, `datetime`); empty where the name does not tell."""
    lowered = name.lower()
    known = _BY_NAME.get(lowered, "")
    return known or next((kind for part, kind in _PARTS if part in lowered), "")
