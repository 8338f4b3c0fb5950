-- The triggers, which keep account of the responses whoever changes them.

CREATE TRIGGER stored AFTER INSERT ON cacheproxy.response REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.counted();
CREATE TRIGGER removed AFTER DELETE ON cacheproxy.response REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.counted();
CREATE TRIGGER resized AFTER UPDATE OF size ON cacheproxy.response
    FOR EACH ROW WHEN (old.size <> new.size) EXECUTE FUNCTION cacheproxy.resized();
CREATE TRIGGER emptied AFTER TRUNCATE ON cacheproxy.response
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.emptied();
