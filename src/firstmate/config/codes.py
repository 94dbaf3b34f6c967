"""Every id a problem of a configuration can carry: stable, explained in `docs/reference/problems.md`.

E4xx belongs to `firstmate.haproxy`, which says what HAProxy thinks of it.
"""

from enum import Enum


class Code(Enum):
    # E1xx, the shape of the file
    MORE = "E100"
    UNREADABLE = "E101"
    TOO_LARGE = "E102"
    NOT_TEXT = "E103"
    SYNTAX = "E104"
    TOO_DEEP = "E105"
    WRONG_TYPE = "E110"
    MISSING = "E111"
    UNKNOWN_KEY = "E112"
    NOT_YET = "E114"
    NOT_A_CHOICE = "E115"
    BAD_DURATION = "E116"
    OUT_OF_RANGE = "E117"
    BAD_NAME = "E118"
    EMPTY = "E119"
    BAD_SECRET = "E120"  # noqa: S105 - the id of a problem
    BAD_CHECK = "E121"
    BAD_BALANCE = "E122"
    BAD_RAW_LINE = "E123"
    BAD_PATH = "E124"
    TOO_MANY = "E125"
    # E2xx, what refers to what
    WHO_AM_I = "E201"
    SAME_NAME = "E203"
    SAME_NODE_ADDRESS = "E204"
    SAME_VRID = "E205"
    SAME_VIP = "E206"
    NOT_A_NODE = "E207"
    PREFER_AND_PRIORITY = "E208"
    SAME_PRIORITY = "E209"
    LISTED_TWICE = "E210"
    UNKNOWN_FACT = "E211"
    SAME_BIND = "E212"
    OWN_CONFIG = "E213"
    WRONG_VERSION = "E214"
    WRONG_MODE = "E215"
    # E3xx, the network
    BAD_ADDRESS = "E301"
    VIP_IS_NODE = "E303"
    UNUSABLE_ADDRESS = "E304"
    VRID_RANGE = "E305"
    INTERVAL_RANGE = "E306"
    UNKNOWN_INTERFACE = "E307"
    WHICH_INTERFACE = "E308"
    NOT_ON_THIS_HOST = "E309"
    PORT_RANGE = "E310"
    # W3xx, advice
    GOAL_TOO_SHORT = "W310"
    NOT_SIGNED_YET = "W311"
    ALONE = "W312"
    NOTHING_MOVES = "W313"
    LOOPBACK_VIP = "W314"
    SAME_SERVER = "W315"
    BIND_ELSEWHERE = "W316"
    NO_EFFECT = "W317"
    SLOW_CHECK = "W318"
