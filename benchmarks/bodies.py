"""Function bodies as services have them, varied by a random number generator that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

FIELDS = (
    "status", "amount", "currency", "customer_id", "reference", "created_at", "updated_at", "quantity", "label",
    "country", "priority", "owner_id", "external_id", "attempts", "notes", "discount", "region", "channel", "score",
    "expires_at", "version", "weight", "position", "category", "locale",
)  # fmt: skip
VERBS = (
    "summarize", "normalize", "reconcile", "assemble", "collect", "validate", "enrich", "group", "rank", "merge",
    "export", "estimate", "classify", "schedule", "resolve", "convert", "audit", "allocate", "compare", "describe",
)  # fmt: skip
STATES = ("draft", "pending", "active", "archived", "failed", "cancelled", "settled")


def sync_body(random: Random, argument: str) -> list[str]:
    """What a helper does with a list of rows or one value: some of these shapes, in some order."""
    lines = docstring(random, f"what {argument} says of {random.choice(FIELDS)}")
    lines.append("result: dict[str, Any] = {}")
    for _ in range(random.randint(2, 5)):
        lines += [*_remark(random), *random.choice(_SYNC)(random, argument)]
    return [*lines, "", "return result"]


def async_body(random: Random, call: str, entity: str) -> list[str]:
    """What a service method does: look something up, refuse, change it, tell others, answer."""
    lines = docstring(random, f"one {entity} for a caller")
    lines.append(f"row = await {call}(identifier)")
    lines += ["if row is None:", f'    raise LookupError(f"no {entity} {{identifier}}")']
    for _ in range(random.randint(1, 4)):
        lines += [*_remark(random), *random.choice(_ASYNC)(random, call)]
    return [*lines, "", "return row"]


def docstring(random: Random, what: str) -> list[str]:
    """Of one line, or with a paragraph and the arguments."""
    first = f'"""{random.choice(VERBS).capitalize()} {what}.'
    if random.random() < 0.4:
        return [first + '"""']
    lines = [first, ""]
    for _ in range(random.randint(1, 4)):
        lines.append(
            f"The {random.choice(FIELDS)} is {random.choice(STATES)} where the {random.choice(FIELDS)} is not known,"
        )
    lines.append(f"and {random.choice(VERBS)} says so.")
    if random.random() < 0.5:
        lines += [
            "",
            "Args:",
            *(f"    {field}: the {field} to {random.choice(VERBS)}." for field in random.sample(FIELDS, 3)),
        ]
        lines += ["", "Returns:", f"    The {random.choice(FIELDS)}, and None where there is none."]
    return [*lines, '"""']


def _remark(random: Random) -> list[str]:
    """A blank line before the next few statements, and sometimes why they are there."""
    if random.random() < 0.5:
        return [""]
    return [
        "",
        f"# The {random.choice(FIELDS)} is {random.choice(STATES)} before anybody may {random.choice(VERBS)} it.",
    ]


def _filtered(random: Random, argument: str) -> list[str]:
    one, other = random.sample(FIELDS, 2)
    return [
        f'{one}s = [item.get("{one}") for item in {argument} if item.get("{other}") is not None]',
        f"if not {one}s:",
        f'    logger.debug("nothing to do for %s", {argument})',
        "    return result",
        f'result["{one}"] = {one}s',
    ]


def _grouped(random: Random, argument: str) -> list[str]:
    field = random.choice(FIELDS)
    return [
        "groups: dict[str, list[dict[str, Any]]] = {}",
        f"for item in {argument}:",
        f'    key = str(item.get("{field}", "{random.choice(STATES)}")).lower()',
        "    groups.setdefault(key, []).append(item)",
        "for key, members in sorted(groups.items()):",
        f'    result[f"{field}:{{key}}"] = len(members)',
    ]


def _converted(random: Random, argument: str) -> list[str]:
    field, limit = random.choice(FIELDS), random.randint(2, 900)
    return [
        "try:",
        f'    number = int(result.get("{field}", {limit}))',
        "except (TypeError, ValueError) as error:",
        f'    logger.warning("bad {field}: %s", error)',
        f"    number = {limit}",
        f"if number > {limit * 2} or len({argument}) > {limit}:",
        f"    number = min(number, {limit * 2}) - (number % {random.randint(2, 9)})",
        f'result["{field}"] = number',
    ]


def _described(random: Random, argument: str) -> list[str]:
    one, other = random.sample(FIELDS, 2)
    return [
        'text = ", ".join(',
        '    f"{key}={value!r}"',
        "    for key, value in result.items()",
        f'    if key != "{one}"',
        ")",
        f'result["{other}"] = f"{random.choice(STATES)}: {{text[:{random.randint(20, 200)}]}} ({{len({argument})}})"',
    ]


def _matched(random: Random, argument: str) -> list[str]:
    one, other, third = random.sample(STATES, 3)
    field = random.choice(FIELDS)
    return [
        f'state = result.get("state", "{one}")',
        f'if state == "{one}":',
        f'    result["{field}"] = sum(1 for item in {argument} if item)',
        f'elif state in ("{other}", "{third}"):',
        f'    result["{field}"] = None',
        "else:",
        "    result.update(",
        "        {",
        f'            "{field}": state,',
        f'            "{random.choice(FIELDS)}": {random.randint(0, 99)},',
        "        }",
        "    )",
    ]


def _refused(random: Random, call: str) -> list[str]:
    field = random.choice(FIELDS)
    return [
        f'if getattr(row, "{field}", None) == "{random.choice(STATES)}":',
        f'    logger.info("refused %s because of {field}", identifier)',
        f'    raise ValueError("{field} does not allow this")',
    ]


def _changed(random: Random, call: str) -> list[str]:
    one, other = random.sample(FIELDS, 2)
    return [
        "changes = {",
        "    key: value",
        "    for key, value in (payload or {}).items()",
        f'    if key != "{one}" and value is not None',
        "}",
        f'changes["{other}"] = "{random.choice(STATES)}"',
        f"await {call.rpartition('.')[0]}.change(identifier, changes)",
    ]


def _told(random: Random, call: str) -> list[str]:
    return [
        "try:",
        "    await self.notifier.send(",
        f'        "{random.choice(VERBS)}",',
        "        {",
        '            "id": identifier,',
        '            "by": actor,',
        "        },",
        "    )",
        "except ConnectionError:",
        '    logger.exception("could not tell anybody of %s", identifier)',
    ]


def _looped(random: Random, call: str) -> list[str]:
    field = random.choice(FIELDS)
    return [
        f"total_{field} = 0",
        f"for other in await {call.rpartition('.')[0]}.related(identifier, limit={random.randint(5, 200)}):",
        f'    if other.{field} is None or other.id == getattr(row, "id", None):',
        "        continue",
        f"    total_{field} += 1",
        f'logger.debug("%s has %d", identifier, total_{field})',
    ]


_SYNC = (_filtered, _grouped, _converted, _described, _matched)
_ASYNC = (_refused, _changed, _told, _looped)
