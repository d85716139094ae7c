"""Every error that a user can cause or mend, as one tree.

    SususError                  told in one plain sentence with the next step, exit 1; anything else is a bug
    ├── SettingsError           a setting is missing, unknown or wrong
    ├── MissingExtra            an optional part is not installed
    ├── ArchiveError
    │   ├── ArchiveEmpty        nothing was imported yet
    │   ├── ArchiveFull         the disk (or a size limit) stopped a write; what was committed stays
    │   ├── ArchiveLocked       another program holds the archive
    │   ├── ArchiveDamaged      the file is no archive of ours, or is broken
    │   └── DumpFailed          the file to dump to cannot be written
    ├── SourceError
    │   ├── NotAnExport         the file is not in a format that we read
    │   └── BrokenExport        the file is, but parts of it are not whole
    ├── CorpusError
    │   ├── CorpusEmpty         nothing is left to learn from
    │   ├── CorpusMissing       there is no finished corpus of that name
    │   ├── CorpusNotWritten    the disk, another build or a forgetting stopped it; what was there stays
    │   └── CorpusChanged       its files are not those that were built
    ├── ConsentError            whose answer it is, or what they said, cannot be told
    ├── TrainingNotPermitted    Discord, or a member, did not agree to training on this
    ├── TrainingError
    │   ├── BaseNotFound        no base model of that name, here or on the hub
    │   ├── BaseUnfit           it is no model that can be trained or converted here
    │   ├── NoGpu               no card to train on, and nobody said that the processor may
    │   ├── TooLittleMemory     the card's memory (or the machine's) is too small
    │   ├── TooLittleDisk       no room for checkpoints
    │   ├── RunExists           a run of that name is there already
    │   ├── RunMissing          there is no run of that name, or nothing in it to go on from
    │   ├── AdapterUnfit        an adapter was made for another base, or is of a kind nothing here can serve
    │   ├── TrainingDiverged    losses or gradients are no numbers any more; the last good checkpoint stays
    │   ├── ContractBroken      what was loaded is not what the settings say
    │   └── ExportFailed        the file to export to cannot be written
    ├── LinkerError
    │   ├── LinkerUnfit         the file is no linker, or was made by another version
    │   └── TooFewReplies       the server's own replies are too few to learn who answers whom
    ├── VectorStoreError        the vector store cannot be reached or used
    ├── ModelError
    │   ├── ModelNotFound       no model file at the path in the settings
    │   ├── ModelLoadFailed     the file is there but the engine refuses it
    │   ├── NotOnHub            the hub has no such model or file, or gives it to others only
    │   ├── DownloadFailed      a download is not whole, or not what the hub says it is; what came is kept
    │   ├── ModelInUse          a model that is needed still is not removed unasked
    │   ├── AdapterStale        it learned from members who may not be learned from any more
    │   ├── CannotScore         this engine or server does not tell how likely a text is
    │   ├── BackendFailed       the engine broke while it answered
    │   │   └── NothingToSay    it is well, and has no answer to this
    │   └── BackendUnreachable  a model server does not answer
    ├── EvaluationError
    │   ├── NothingHeldOut      no reply was kept apart that a bot could be measured on
    │   ├── ReportMissing       there is no evaluation of that name
    │   └── BelowThreshold      the bot is worse than the settings allow
    ├── WebError
    │   ├── PortTaken           another program listens there already
    │   └── PasswordMissing     the page is to be seen by other machines, and no password is set
    ├── Busy                    the queue is full: say so to the member and drop the request
    ├── BotRunning              another bot runs on the same data folder
    └── DiscordError
        ├── TokenRefused        401 at login or close code 4004
        ├── IntentMissing       close code 4014: a switch in the developer portal is off
        ├── ChannelUnknown      the configured channel does not exist or cannot be seen
        ├── GuildUnknown        the configured server does not exist or the bot is not on it
        ├── HistoryIncomplete   some channels could not be read; what could be was kept
        ├── RateLimited         Discord wants to be left alone for longer than a program should wait
        ├── SessionsSpent       so many sessions were begun within a day that more endanger the token
        └── ConnectionLost      Discord cannot be reached

Foreign errors (sqlite3, discord.py, httpx, llama.cpp) are translated at the border of the room that uses them.
"""

import sys


def installing(extra: str) -> str:
    """The command that adds an extra, in the project's folder: by its name alone, somebody else's might come."""
    pip, quote = (r".venv\Scripts\pip", '"') if sys.platform == "win32" else (".venv/bin/pip", "'")
    return f"{pip} install -e {quote}.[{extra}]{quote}"


class SususError(Exception):
    """Told to the user as it stands: one sentence, with the next step."""


class SettingsError(SususError):
    """A setting is missing, unknown or wrong."""


class MissingExtra(SususError):
    """An optional part is not installed; the sentence holds the install command."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: run  {installing(extra)}")
        self.extra = extra


class ArchiveError(SususError):
    """Something about the archive."""


class ArchiveEmpty(ArchiveError):
    """Nothing was imported yet."""


class ArchiveFull(ArchiveError):
    """The disk (or a size limit) stopped a write; what was committed stays."""


class ArchiveLocked(ArchiveError):
    """Another program holds the archive."""


class ArchiveDamaged(ArchiveError):
    """The file is no archive of ours, or is broken."""


class DumpFailed(ArchiveError):
    """The file to dump the archive to cannot be written."""


class SourceError(SususError):
    """Something about a file to import."""


class NotAnExport(SourceError):
    """The file is not in a format that we read."""


class BrokenExport(SourceError):
    """The file is an export, but parts of it are not whole."""


class CorpusError(SususError):
    """Something about a corpus."""


class CorpusEmpty(CorpusError):
    """Nothing is left to learn from."""


class CorpusMissing(CorpusError):
    """There is no finished corpus of that name."""


class CorpusNotWritten(CorpusError):
    """The disk, another build or a forgetting stopped a write; what was there stays."""


class CorpusChanged(CorpusError):
    """Its files are not those that were built; all differences are listed."""


class ConsentError(SususError):
    """Whose answer it is, or what they said, cannot be told."""


class TrainingNotPermitted(SususError):
    """Discord, or a member, did not agree to training on this."""


class TrainingError(SususError):
    """Something about training a model, or about what a training made."""


class BaseNotFound(TrainingError):
    """No base model of that name, here or on the hub."""


class BaseUnfit(TrainingError):
    """The base is no model that can be trained or converted here."""


class NoGpu(TrainingError):
    """No card to train on, and nobody said that the processor may."""


class TooLittleMemory(TrainingError):
    """The card's memory (or the machine's) is too small."""


class TooLittleDisk(TrainingError):
    """No room for checkpoints."""


class RunExists(TrainingError):
    """A run of that name is there already."""


class RunMissing(TrainingError):
    """There is no run of that name, or nothing in it to go on from."""


class AdapterUnfit(TrainingError):
    """An adapter was made for another base, or is of a kind that nothing here can serve."""


class TrainingDiverged(TrainingError):
    """Losses or gradients are no numbers any more; the last good checkpoint stays."""


class ContractBroken(TrainingError):
    """What was loaded is not what the settings say."""


class ExportFailed(TrainingError):
    """The file to export to cannot be written."""


class LinkerError(SususError):
    """Something about the linker, which tells who answers whom."""


class LinkerUnfit(LinkerError):
    """The file is no linker, or was made by another version."""


class TooFewReplies(LinkerError):
    """The server's own replies are too few to learn who answers whom."""


class VectorStoreError(SususError):
    """The vector store cannot be reached or used."""


class ModelError(SususError):
    """Something about a model or the engine that runs it."""


class ModelNotFound(ModelError):
    """No model file at the path in the settings."""


class ModelLoadFailed(ModelError):
    """The file is there but the engine refuses it."""


class NotOnHub(ModelError):
    """The hub has no such model or file, or does not give it to this machine."""


class DownloadFailed(ModelError):
    """A download could not be finished, or brought something else than the hub says; what came whole is kept."""


class ModelInUse(ModelError):
    """Settings or runs need a model that is to be removed."""


class AdapterStale(ModelError):
    """An adapter learned from members who may not be learned from any more."""


class CannotScore(ModelError):
    """This engine or server does not tell how likely a text is."""


class BackendFailed(ModelError):
    """The engine broke while it answered."""


class NothingToSay(BackendFailed):
    """The engine is well, and has no answer to this."""


class BackendUnreachable(ModelError):
    """A model server does not answer."""


class EvaluationError(SususError):
    """Something about measuring how good a bot is."""


class NothingHeldOut(EvaluationError):
    """No reply was kept apart that a bot could be measured on."""


class ReportMissing(EvaluationError):
    """There is no evaluation of that name."""


class BelowThreshold(EvaluationError):
    """The bot is worse than the settings allow; every threshold it misses is listed."""


class WebError(SususError):
    """Something about the local web page."""


class PortTaken(WebError):
    """Another program listens there already."""


class PasswordMissing(WebError):
    """The page is to be seen by other machines, and no password is set."""


class Busy(SususError):
    """The queue is full: say so to the member and drop the request."""


class BotRunning(SususError):
    """Another bot runs on the same data folder."""


class DiscordError(SususError):
    """Something about Discord."""


class TokenRefused(DiscordError):
    """401 at login, or close code 4004."""


class IntentMissing(DiscordError):
    """Close code 4014: a switch in the developer portal is off."""


class ChannelUnknown(DiscordError):
    """The configured channel does not exist or cannot be seen."""


class GuildUnknown(DiscordError):
    """The configured server does not exist, or the bot is not on it."""


class HistoryIncomplete(DiscordError):
    """Some channels could not be read; what could be was kept."""


class RateLimited(DiscordError):
    """Discord wants to be left alone for longer than a program should wait."""


class SessionsSpent(DiscordError):
    """So many sessions were begun within a day that more endanger the token."""


class ConnectionLost(DiscordError):
    """Discord cannot be reached."""
