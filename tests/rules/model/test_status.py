import json
from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from firstmate.model.jsonable import dumps, loads
from firstmate.model.status import HaproxyStatus, NodeStatus, OddityStatus, PathStatus, RouterStatus, Status

seconds = st.floats(0, 1e9)
paths = st.builds(PathStatus, heard_age_s=st.none() | seconds)
oddities = st.lists(st.builds(OddityStatus), max_size=2).map(tuple)
routers = st.builds(
    RouterStatus,
    for_s=seconds,
    takeover_s=seconds,
    paths=st.lists(paths, max_size=2).map(tuple),
    oddities=oddities,
)
nodes = st.builds(NodeStatus, heartbeat_age_s=st.none() | seconds)
statuses = st.builds(
    Status,
    pulse_age_s=seconds,
    routers=st.lists(routers, max_size=2).map(tuple),
    nodes=st.lists(nodes, max_size=2).map(tuple),
    haproxy=st.none() | st.from_type(HaproxyStatus),
    schema=st.just("status/1"),
    oddities=oddities,
)

# What scripts and dashboards read. A field may be added at the end of a list; none may go or change its name.
PROMISED: dict[type[RouterStatus | NodeStatus | HaproxyStatus | PathStatus | OddityStatus | Status], str] = {
    PathStatus: "peer transport address heard_age_s silent",
    OddityStatus: "code source text since last count",
    RouterStatus: "name vrid state priority master addresses held since for_s reason takeover_s counters",
    NodeStatus: "name address this reachable states priorities heartbeat_age_s haproxy servers config ready",
    HaproxyStatus: "up version pid since restarts servers_up servers_total why",
    Status: "cluster node health headline as_of pulse_age_s routers nodes haproxy troubles schema",
}


@settings(max_examples=25)
@given(statuses)
def test_status_comes_back_and_names_its_schema_and_holds_no_nan(status: Status) -> None:
    text = dumps(status)
    assert loads(Status, text) == status
    document = json.loads(text, parse_constant=lambda name: f"not JSON: {name}")
    assert document["schema"] == "status/1"
    assert "not JSON" not in str(document)


def test_promised_fields_are_there() -> None:
    for record, names in PROMISED.items():
        assert [field.name for field in fields(record)][: len(names.split())] == names.split(), record.__name__
