"""The person in front of this process, for the journal."""

from sellctl.service.person import at_the_command_line


def test_a_user_is_named_as_the_system_does() -> None:
    assert at_the_command_line(0) == "root at the command line"


def test_a_user_that_the_system_has_no_name_for_is_a_number() -> None:
    assert at_the_command_line(987_654_321) == "user 987654321 at the command line"
