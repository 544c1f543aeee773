"""What can go wrong, so that a person can put it right.

AttuneError              one line, exit code 2
├── ParamsError          params.yaml does not fit the schema: every fault at once
├── DataError            recordings, transcripts or manifests are not usable
├── ModelError           a checkpoint, tokenizer or adapter is not usable
├── GoldError            no corrector, so no gold: the stage stops
├── TrainingError        training cannot start or must not go on
├── ParityError          what was exported does not say what was evaluated
├── LeakageError         test data met training data
├── RegressionError      the tuned model fails a critical suite
├── RegistryError        a version or a stage is not what a command needs
├── StorageError         what DVC keeps elsewhere cannot be reached, or is not whole
└── EnvironmentFault     disk, permission, device, missing package
"""


class AttuneError(Exception):
    """A mistake or a lack that the user can mend; the message says what, where, the value seen, and what to do."""


class ParamsError(AttuneError):
    """params.yaml does not fit the schema."""


class DataError(AttuneError):
    """Recordings, transcripts or manifests are not usable."""


class ModelError(AttuneError):
    """A checkpoint, tokenizer or adapter is not usable."""


class GoldError(AttuneError):
    """No trustworthy gold can be made."""


class TrainingError(AttuneError):
    """Training cannot start, or must not go on."""


class ParityError(AttuneError):
    """The exported model does not say what the tuned one says."""


class LeakageError(AttuneError):
    """Something of the test split is also on another side."""


class RegressionError(AttuneError):
    """The tuned model fails a critical suite, and params say that this stops the graph."""


class RegistryError(AttuneError):
    """A version, a stage or a tag is not what the command needs."""


class StorageError(AttuneError):
    """What DVC keeps elsewhere cannot be reached, or is not whole."""


class EnvironmentFault(AttuneError):
    """Disk, permission, device or package: the machine rather than the data."""
