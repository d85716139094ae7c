"""Everything that exists on the stand-in's side: one guild, its people, roles, channels, threads and messages.

The single source of truth that REST and gateway share. Whoever changes it through these methods has the change told to
every subscriber at once. What an API caller may do is `draft` and `rest`; here any change goes through.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sususbot.standin import permissions
from sususbot.standin.errors import unknown_channel
from sususbot.standin.history import History
from sususbot.standin.objects import (
    Channel,
    ChannelType,
    Interaction,
    Json,
    Message,
    MessageType,
    Pings,
    Reference,
    Role,
    User,
)
from sususbot.standin.permissions import Overwrite
from sususbot.standin.pings import Allowed, find_pings
from sususbot.standin.snowflake import Clock, Snowflakes, created_at

NONCE_WINDOW = 180.0
"""Seconds for which a nonce is remembered."""

_NONCES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened, by its gateway name. `data` is the payload where the objects do not say it all."""

    name: str
    channel: Channel | None = None
    message: Message | None = None
    data: Json | None = None


Subscriber = Callable[[Change], None]


class World:
    """`keep_messages` bounds the messages kept per channel; `message_content_allowed` is the portal's intent switch."""

    def __init__(
        self,
        *,
        clock: Clock = time.time,
        token: str = "stand-in.token",
        guild_name: str = "Stand-in",
        bot_name: str = "sususbot",
        message_content_allowed: bool = True,
        keep_messages: int | None = None,
    ) -> None:
        self.search_ready = True
        """Whether the guild's messages are indexed for search by now."""
        self.clock = clock
        self.token = token
        self.guild_name = guild_name
        self.message_content_allowed = message_content_allowed
        self._keep_messages = keep_messages
        self._snowflakes = Snowflakes(clock)
        self._subscribers: list[Subscriber] = []
        self._nonces: OrderedDict[tuple[int, str], Message] = OrderedDict()
        self.guild_id = self._snowflakes.next()
        self.application_id = self._snowflakes.next()
        everyone = Role(self.guild_id, "@everyone", permissions.ORDINARY, position=0)
        self.roles: dict[int, Role] = {self.guild_id: everyone}
        self.users: dict[int, User] = {}
        self.emoji: dict[str, int] = {}
        """The guild's own, by name."""
        self.channels: dict[int, Channel] = {}
        self.typing: Counter[int] = Counter()
        self.commands: dict[int | None, list[Json]] = {}
        """What the bot registered, by guild; None is everywhere."""
        self.interactions: dict[str, Interaction] = {}
        """By token."""
        self.bot = self.add_user(bot_name, bot=True)
        self.owner = self.add_user("owner")

    # -- people, roles, channels

    def next_id(self) -> int:
        return self._snowflakes.next()

    def revoke_token(self) -> None:
        """From now on no token is right."""
        self.token = f"revoked-{self.next_id()}"

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Returns the call that ends the subscription."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _tell(self, change: Change) -> None:
        for subscriber in self._subscribers:
            subscriber(change)

    def add_user(
        self,
        name: str,
        *,
        display: str | None = None,
        nick: str | None = None,
        bot: bool = False,
        roles: Iterable[Role] = (),
    ) -> User:
        user = User(self.next_id(), name, display, nick, bot, tuple(role.id for role in roles))
        self.users[user.id] = user
        return user

    def add_role(self, name: str, *, grants: int = 0, mentionable: bool = False) -> Role:
        role = Role(self.next_id(), name, grants, mentionable, position=len(self.roles))
        self.roles[role.id] = role
        return role

    def add_emoji(self, name: str, id_: int) -> None:
        self.emoji[name] = id_

    def allow_everyone(self, bits: int) -> None:
        """Sets what @everyone may do in the whole guild."""
        self.roles[self.guild_id] = replace(self.roles[self.guild_id], permissions=bits)

    def add_channel(
        self,
        name: str,
        *,
        type: int = ChannelType.TEXT,
        private: bool = False,
        overwrites: Sequence[Overwrite] = (),
        topic: str | None = None,
    ) -> Channel:
        """`private` denies VIEW_CHANNEL to @everyone, the bot included unless an overwrite lets it in."""
        found = list(overwrites)
        if private:
            found.insert(0, self.overwrite(deny=permissions.VIEW_CHANNEL))
        channel = Channel(
            self.next_id(), name, self._history(), type, len(self.channels), topic=topic, overwrites=found
        )
        self.channels[channel.id] = channel
        self._tell(Change("CHANNEL_CREATE", channel))
        return channel

    def adopt(self, channel: Channel, channel_id: int) -> None:
        """Give a channel that nobody was told of yet the id that an archive knows it by."""
        del self.channels[channel.id]
        channel.id = channel_id
        self.channels[channel_id] = channel

    def add_thread(
        self,
        parent: Channel,
        name: str,
        *,
        owner: User | None = None,
        private: bool = False,
        invited: bool = True,
        on: Message | None = None,
        at: float | None = None,
    ) -> Channel:
        """`invited` lets the bot into a private one. A thread `on` a message has its id, and begins with a pointer."""
        kind = ChannelType.PRIVATE_THREAD if private else ChannelType.PUBLIC_THREAD
        owner = owner or self.owner
        id_ = on.id if on is not None else self._new_id(at)
        members = {owner.id, self.bot.id} if invited else {owner.id}
        thread = Channel(id_, name, self._history(), kind, parent_id=parent.id, owner_id=owner.id, members=members)
        self.channels[thread.id] = thread
        self._tell(Change("THREAD_CREATE", thread))
        if on is not None:
            self.post(thread, owner, "", type=MessageType.THREAD_STARTER, points_at=Reference(on.id, parent.id), at=at)
        return thread

    def add_post(self, forum: Channel, name: str, author: User, content: str, *, at: float | None = None) -> Channel:
        """A forum's post: a thread whose first message has the thread's id."""
        thread = self.add_thread(forum, name, owner=author, at=at)
        self.post(thread, author, content, id=thread.id)
        return thread

    def archive(self, thread: Channel, *, at: float | None = None) -> None:
        """`at` dates it back."""
        thread.archived = True
        thread.archived_at = self.clock() if at is None else at
        self._tell(Change("THREAD_UPDATE", thread))

    def _new_id(self, at: float | None) -> int:
        return self.next_id() if at is None else self._snowflakes.at(at)

    def _history(self) -> History[Message]:
        return History(self._keep_messages)

    def remove_channel(self, channel: Channel) -> None:
        self._tell(Change("THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE", channel))
        del self.channels[channel.id]

    def take_out(self, thread: Channel) -> None:
        """The bot is no member of a private thread any more, and hears the same as of a thread that is deleted."""
        self._tell(Change("THREAD_DELETE", thread))
        thread.members.discard(self.bot.id)

    def overwrite(self, target: User | Role | None = None, *, allow: int = 0, deny: int = 0) -> Overwrite:
        """A permission overwrite for a member, a role or, by default, @everyone."""
        target_id = self.guild_id if target is None else target.id
        return Overwrite(target_id, allow, deny, member=isinstance(target, User))

    def channel(self, channel_id: int) -> Channel:
        found = self.channels.get(channel_id)
        if found is None:
            raise unknown_channel()
        return found

    def permissions(self, user: User, channel: Channel) -> int:
        """A thread takes its parent's; a private one is for the invited and for who manages threads.

        Who is not a member (a webhook) has what @everyone has.
        """
        if user.id == self.owner.id:
            return permissions.ALL
        base = self.roles[self.guild_id].permissions
        for role_id in user.roles:
            base |= self.roles[role_id].permissions
        place = self.channels.get(channel.parent_id or 0, channel)
        held = permissions.effective(self.guild_id, base, user.roles, user.id, place.overwrites)
        if channel.type == ChannelType.PRIVATE_THREAD and user.id not in channel.members:
            return held if held & permissions.MANAGE_THREADS else 0
        return held

    def can(self, user: User, channel: Channel, bits: int) -> bool:
        return self.permissions(user, channel) & bits == bits

    # -- messages

    def pings(self, channel: Channel, author: User, content: str, allowed: Allowed, replied_to: int | None) -> Pings:
        if replied_to is None and "@" not in content:
            return Pings()
        powerful = self.can(author, channel, permissions.MENTION_EVERYONE)
        return find_pings(
            content,
            allowed,
            users=self.users.keys(),
            roles={id_ for id_, role in self.roles.items() if powerful or role.mentionable},
            may_ping_everyone=powerful,
            replied_to=replied_to,
        )

    def post(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        allowed: Allowed | None = None,
        reply_to: Message | None = None,
        also_pings: Iterable[User] = (),
        type: int | None = None,
        nonce: str | None = None,
        webhook_id: int | None = None,
        embeds: Sequence[Json] = (),
        attachments: Sequence[Json] = (),
        allowed_mentions: Json | None = None,
        components: Sequence[Json] = (),
        extra: Json | None = None,
        points_at: Reference | None = None,
        at: float | None = None,
        id: int | None = None,
    ) -> Message:
        """Adds a message and tells the subscribers. `at` dates it back, for history seeded in rising order."""
        replied_to = None if reply_to is None or reply_to.webhook_id else reply_to.author.id
        pings = self.pings(channel, author, content, allowed or Allowed(), replied_to)
        extra_ids = tuple(user.id for user in also_pings)
        if extra_ids:
            pings |= Pings(users=extra_ids)
        if type is None:
            type = MessageType.DEFAULT if reply_to is None else MessageType.REPLY
        message = Message(
            id=self._new_id(at) if id is None else id,
            channel_id=channel.id,
            author=author,
            content=content,
            type=type,
            pings=pings,
            ever_pinged=pings,
            reference=points_at if reply_to is None else Reference(reply_to.id, reply_to.channel_id),
            nonce=nonce,
            webhook_id=webhook_id,
            embeds=list(embeds),
            attachments=list(attachments),
            allowed_mentions=allowed_mentions,
            components=list(components),
            extra=extra or {},
        )
        channel.history.add(message)
        channel.archived = False
        self._tell(Change("MESSAGE_CREATE", channel, message))
        return message

    def edit(self, message: Message, content: str, *, allowed: Allowed | None = None) -> None:
        channel = self.channel(message.channel_id)
        message.content = content
        message.edited = self.clock()
        message.pings = self.pings(channel, message.author, content, allowed or Allowed(), None)
        message.ever_pinged |= message.pings
        self._tell(Change("MESSAGE_UPDATE", channel, message))

    def unfurl(self, message: Message, embed: Json) -> None:
        """An update that is no edit: Discord adds a preview to a link."""
        message.embeds.append(embed)
        self._tell(Change("MESSAGE_UPDATE", self.channel(message.channel_id), message))

    def delete(self, message: Message) -> None:
        channel = self.channel(message.channel_id)
        channel.history.remove(message.id)
        self._tell(Change("MESSAGE_DELETE", channel, data={"id": str(message.id)}))

    def delete_bulk(self, messages: Sequence[Message]) -> None:
        """All of one channel."""
        channel = self.channel(messages[0].channel_id)
        for message in messages:
            channel.history.remove(message.id)
        self._tell(Change("MESSAGE_DELETE_BULK", channel, data={"ids": [str(message.id) for message in messages]}))

    def react(self, message: Message, user: User, emoji: str) -> None:
        people = message.reactions.setdefault(emoji, [])
        if user.id not in people:
            people.append(user.id)
            data = {"user_id": str(user.id), "emoji": emoji}
            self._tell(Change("MESSAGE_REACTION_ADD", self.channel(message.channel_id), message, data))

    def unreact(self, message: Message, user: User, emoji: str) -> None:
        people = message.reactions.get(emoji, [])
        if user.id in people:
            people.remove(user.id)
            if not people:
                del message.reactions[emoji]
            data = {"user_id": str(user.id), "emoji": emoji}
            self._tell(Change("MESSAGE_REACTION_REMOVE", self.channel(message.channel_id), message, data))

    def type_in(self, channel: Channel, user: User) -> None:
        self.typing[channel.id] += 1
        data = {"user_id": str(user.id), "timestamp": int(self.clock())}
        self._tell(Change("TYPING_START", channel, data=data))

    def remember_nonce(self, author: User, nonce: str, message: Message) -> None:
        self._nonces[author.id, nonce] = message
        while len(self._nonces) > _NONCES_KEPT:
            self._nonces.popitem(last=False)

    def sent_with(self, author: User, nonce: str) -> Message | None:
        """The message this author sent with this nonce a short while ago."""
        message = self._nonces.get((author.id, nonce))
        if message is None or self.clock() - created_at(message.id) > NONCE_WINDOW:
            return None
        return message
