"""The triggers that protect the audit on PostgreSQL, as revision 0001 creates them. `history --verify` looks for them.

Frozen: a revision that changes one brings a text of its own, which then stands here for the check.
"""

REFUSE_CHANGE = """
CREATE FUNCTION audit_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never changed';
END $$"""
REFUSE_DELETE = """
CREATE FUNCTION audit_never_shrinks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never deleted; retention archives them';
END $$"""
REFUSE_INSERT = """
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, NEW.seq) FROM audit) THEN
        RAISE EXCEPTION 'audit rows are only appended';
    END IF;
    RETURN NEW;
END $$"""
TRIGGERS = (
    "CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_never_changes()",
    "CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_never_shrinks()",
    "CREATE TRIGGER audit_never_empties BEFORE TRUNCATE ON audit EXECUTE FUNCTION audit_never_shrinks()",
    "CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_only_grows()",
)
LIFT_REFUSE_DELETE = "ALTER TABLE audit DISABLE TRIGGER audit_never_shrinks"
RESTORE_REFUSE_DELETE = "ALTER TABLE audit ENABLE TRIGGER audit_never_shrinks"
