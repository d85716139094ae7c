"""Slash commands used and buttons pressed: what a bot is told of them, and the rules by which it may answer.

A bot has three seconds for its first answer (`ANSWER_SECONDS`), by a token of the interaction's own, and fifteen
minutes for all others. An ephemeral answer is seen by the member alone: it stands in no channel, and no event tells
of it. Commands are typed, or chosen from a message's menu. Modals, autocompletion and direct messages are not modelled.
"""

from collections.abc import Mapping
from typing import Any

from sususbot.standin import draft, errors, permissions, render
from sususbot.standin.errors import form_error
from sususbot.standin.objects import (
    CallbackType,
    Channel,
    Interaction,
    InteractionType,
    Json,
    Message,
    MessageType,
    User,
)
from sususbot.standin.pings import parse_allowed
from sususbot.standin.rest import Answer, Call
from sususbot.standin.snowflake import checked_id, created_at
from sususbot.standin.world import World

ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 900.0
EPHEMERAL = 1 << 6
_OPTION_TYPES = {str: 3, int: 4, bool: 5}


class NotOffered(Exception):
    """A member's Discord would not let them do this."""


# -- what members do


def command(
    world: World, channel: Channel, user: User, name: str, options: Mapping[str, Any], *, let: bool
) -> Interaction:
    """A member uses a command of the guild; `let`: also where its default permissions hide it from them.

    Raises NotOffered where Discord would not offer it to them or takes no such options.
    """
    found = _offered(world, channel, user, name, type=1, let=let)
    data = {
        "id": found["id"],
        "name": name,
        "type": 1,
        "guild_id": str(world.guild_id),
        "options": _options(found, options),
    }
    return _open(world, InteractionType.COMMAND, channel, user, data)


def choose(world: World, message: Message, user: User, name: str) -> Interaction:
    """A member chooses a command from a message's menu. Raises NotOffered where there is none."""
    channel = world.channel(message.channel_id)
    found = _offered(world, channel, user, name, type=3, let=False)
    data = {
        "id": found["id"],
        "name": name,
        "type": 3,
        "guild_id": str(world.guild_id),
        "target_id": str(message.id),
        "resolved": {"messages": {str(message.id): render.message_json(world, message, intent=True)}},
    }
    return _open(world, InteractionType.COMMAND, channel, user, data)


def _offered(world: World, channel: Channel, user: User, name: str, *, type: int, let: bool) -> Json:
    known = world.commands.get(world.guild_id, []) + world.commands.get(None, [])
    found = next((one for one in known if (one["type"], one["name"]) == (type, name)), None)
    if found is None:
        raise NotOffered(f"there is no /{name}")
    needed = found["default_member_permissions"]
    if needed is not None and not let:
        held = world.permissions(user, channel)
        if not held & permissions.ADMINISTRATOR and held & int(needed) != int(needed):
            raise NotOffered(f"/{name} is hidden from {user.name}")
    return found


def press(world: World, of: Interaction, label: str, user: User | None) -> Interaction:
    """A member presses a button under the latest answer that has it. Raises NotOffered where there is none."""
    for message in reversed(of.answers):
        for button in (one for row in message.components for one in row["components"]):
            if button.get("label") == label and not button.get("disabled"):
                data = {"custom_id": button["custom_id"], "component_type": button["type"]}
                return _open(world, InteractionType.COMPONENT, of.channel, user or of.user, data, pressed=message)
    raise NotOffered(f"there is no button {label}")


def _open(
    world: World, type: InteractionType, channel: Channel, user: User, data: Json, pressed: Message | None = None
) -> Interaction:
    id_ = world.next_id()
    made = Interaction(id_, f"interaction-token-{id_}", type, channel, user, data, pressed)
    world.interactions[made.token] = made
    return made


def _options(found: Json, given: Mapping[str, Any]) -> list[Json]:
    declared = {option["name"]: option for option in found.get("options", ())}
    missing = [name for name, option in declared.items() if option.get("required") and name not in given]
    if missing or given.keys() - declared.keys():
        raise NotOffered(f"/{found['name']} takes {list(declared)}, not {list(given)}")
    options = []
    for name, value in given.items():
        option = declared[name]
        choices = [choice["value"] for choice in option.get("choices", ())]
        fits = not choices or value in choices
        if isinstance(value, str):
            fits = fits and option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000)
        else:
            fits = fits and option.get("min_value", value) <= value <= option.get("max_value", value)
        if not fits or option["type"] != _OPTION_TYPES[type(value)]:
            raise NotOffered(f"/{found['name']} takes no {name} like this")
        options.append({"name": name, "type": option["type"], "value": value})
    return options


# -- what the bot is told


def event(world: World, made: Interaction) -> Json:
    """INTERACTION_CREATE."""
    rendered: Json = {
        "id": str(made.id),
        "application_id": str(world.application_id),
        "type": int(made.type),
        "data": made.data,
        "guild_id": str(world.guild_id),
        "guild": {"id": str(world.guild_id), "locale": "en-US", "features": []},
        "channel_id": str(made.channel.id),
        "channel": render.channel_json(world, made.channel)
        | {"permissions": str(world.permissions(made.user, made.channel))},
        "member": render.guild_member_json(world, made.user)
        | {"permissions": str(world.permissions(made.user, made.channel))},
        "token": made.token,
        "version": 1,
        "app_permissions": str(world.permissions(world.bot, made.channel)),
        "locale": "en-US",
        "guild_locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": {"0": str(world.guild_id)},
        "context": 0,
        "attachment_size_limit": 10_485_760,
    }
    if made.pressed is not None:
        rendered["message"] = render.message_json(world, made.pressed, intent=True)
    return rendered


# -- what the bot answers


def answer(call: Call) -> Answer:
    """The first answer: at once, later (deferred), or by changing the message whose button was pressed."""
    world = call.world
    made = world.interactions.get(call.params["interaction_token"])
    if made is None or made.id != checked_id("interaction_id", call.params["interaction_id"]):
        raise errors.unknown_interaction()
    if made.acknowledged is not None:
        raise errors.already_acknowledged()
    if world.clock() - created_at(made.id) > ANSWER_SECONDS:
        raise errors.unknown_interaction()
    try:
        kind = CallbackType(call.body.get("type", 0))
    except ValueError:
        raise form_error("type", "BASE_TYPE_CHOICES", "This type of answer is not modelled here.") from None
    changes = kind in (CallbackType.DEFERRED_UPDATE, CallbackType.UPDATE)
    if changes and made.pressed is None:
        raise form_error("type", "INTERACTION_APPLICATION_COMMAND_INVALID_TYPE", "A command has no message to change.")
    data = call.body.get("data") or {}
    if kind is CallbackType.MESSAGE:
        _add(world, made, data, ephemeral=_ephemeral(data))
    elif kind is CallbackType.DEFERRED:
        made.deferred = made.waits = True
        made.ephemeral = _ephemeral(data)
    elif made.pressed is not None:
        made.answers.append(made.pressed)
        if kind is CallbackType.UPDATE:
            _change(world, made.pressed, data)
    made.acknowledged = kind
    return _acknowledgement(call, made, kind)


def _acknowledgement(call: Call, made: Interaction, kind: CallbackType) -> Answer:
    if call.query.get("with_response", "").lower() not in ("1", "true"):
        return Answer(204)
    told: Json = {
        "id": str(made.id),
        "type": int(made.type),
        "response_message_loading": made.waits,
        "response_message_ephemeral": made.ephemeral,
        "channel_id": str(made.channel.id),
        "guild_id": str(call.world.guild_id),
    }
    body: Json = {"interaction": told}
    if made.answers and kind in (CallbackType.MESSAGE, CallbackType.UPDATE):
        told["response_message_id"] = str(made.answers[0].id)
        body["resource"] = {"type": int(kind), "message": call.shown(made.answers[0])}
    return Answer(body=body)


def follow(call: Call) -> Answer:
    """One more answer; after a deferral the first one."""
    made = _known(call)
    made.ephemeral = made.ephemeral if made.waits else _ephemeral(call.body)
    message = _add(call.world, made, call.body, ephemeral=made.ephemeral)
    made.waits = False
    return Answer(body=call.shown(message))


def get_original(call: Call) -> Answer:
    return Answer(body=call.shown(_original(_known(call))))


def edit_original(call: Call) -> Answer:
    """After a deferral this is the first answer."""
    made = _known(call)
    if made.waits:
        _add(call.world, made, call.body, ephemeral=made.ephemeral)
        made.waits = False
    else:
        _change(call.world, _original(made), call.body)
    return Answer(body=call.shown(_original(made)))


def delete_original(call: Call) -> Answer:
    made = _known(call)
    made.waits = False
    return _remove(call.world, made, _original(made))


def get_answer(call: Call) -> Answer:
    return Answer(body=call.shown(_named(call, _known(call))))


def edit_answer(call: Call) -> Answer:
    message = _named(call, _known(call))
    _change(call.world, message, call.body)
    return Answer(body=call.shown(message))


def delete_answer(call: Call) -> Answer:
    made = _known(call)
    return _remove(call.world, made, _named(call, made))


def _known(call: Call) -> Interaction:
    """The interaction of a token that was answered once and is not past its time."""
    made = call.world.interactions.get(call.params["webhook_token"])
    if made is None or call.params["webhook_id"] != str(call.world.application_id):
        raise errors.unknown_webhook()
    if call.world.clock() - created_at(made.id) > TOKEN_SECONDS:
        raise errors.invalid_webhook_token()
    if made.acknowledged is None:
        raise errors.unknown_webhook()
    return made


def _original(made: Interaction) -> Message:
    if not made.answers:
        raise errors.unknown_message()
    return made.answers[0]


def _named(call: Call, made: Interaction) -> Message:
    wanted = checked_id("message_id", call.params["message_id"])
    for message in made.answers:
        if message.id == wanted:
            return message
    raise errors.unknown_message()


def _ephemeral(data: Json) -> bool:
    return bool(int(data.get("flags") or 0) & EPHEMERAL)


def _add(world: World, made: Interaction, data: Json, *, ephemeral: bool) -> Message:
    checked = draft.checked(world, made.channel, world.bot, data)
    components = _components(data)
    extra = {"application_id": str(world.application_id), "interaction_metadata": _metadata(world, made)}
    if ephemeral:
        message = Message(
            world.next_id(),
            made.channel.id,
            world.bot,
            checked.content,
            MessageType.COMMAND,
            world.pings(made.channel, world.bot, checked.content, checked.allowed, None),
            webhook_id=world.application_id,
            embeds=list(data.get("embeds") or ()),
            allowed_mentions=data.get("allowed_mentions"),
            flags=EPHEMERAL,
            components=components,
            extra=extra,
        )
        message.ever_pinged = message.pings
    else:
        message = world.post(
            made.channel,
            world.bot,
            checked.content,
            allowed=checked.allowed,
            type=MessageType.COMMAND,
            webhook_id=world.application_id,
            embeds=data.get("embeds") or (),
            allowed_mentions=data.get("allowed_mentions"),
            components=components,
            extra=extra,
        )
    made.ephemeral = ephemeral
    made.answers.append(message)
    return message


def _change(world: World, message: Message, data: Json) -> None:
    """What is not spoken of stays. Only what stands in the channel is known to others."""
    content = draft.content_of(data) if data.get("content") is not None else message.content
    if "components" in data:
        message.components = _components(data)
    if "embeds" in data:
        message.embeds = list(data["embeds"] or ())
    if not content.strip() and not message.embeds and not message.components:
        raise errors.empty_message()
    if message.flags & EPHEMERAL:
        allowed = parse_allowed(data.get("allowed_mentions"))
        message.content, message.edited = content, world.clock()
        message.pings = world.pings(world.channel(message.channel_id), message.author, content, allowed, None)
        message.ever_pinged |= message.pings
    else:
        world.edit(message, content, allowed=parse_allowed(data.get("allowed_mentions")))


def _remove(world: World, made: Interaction, message: Message) -> Answer:
    made.answers.remove(message)
    if not message.flags & EPHEMERAL:
        world.delete(message)
    return Answer(204)


def _components(data: Json) -> list[Json]:
    """Numbered through, as Discord does."""
    rows = [dict(row) for row in data.get("components") or ()]
    number = 0
    for row in rows:
        number += 1
        row["id"] = number
        row["components"] = [dict(one) for one in row.get("components", ())]
        for one in row["components"]:
            number += 1
            one["id"] = number
    return rows


def _metadata(world: World, made: Interaction) -> Json:
    rendered: Json = {
        "id": str(made.id),
        "type": int(made.type),
        "user": render.user_json(made.user),
        "authorizing_integration_owners": {"0": str(world.guild_id)},
    }
    if made.pressed is not None:
        rendered["interacted_message_id"] = str(made.pressed.id)
    return rendered
