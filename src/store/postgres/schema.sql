-- The stored responses of cacheproxy: one row for each in "response", found by the hash of its key (method and
-- URI), most recent first. Everything here can be fetched again from the origin servers.
--
-- Texts that came in HTTP messages are bytes, of which each is the character with its number (Latin-1).

CREATE SEQUENCE cacheproxy.change;
COMMENT ON SEQUENCE cacheproxy.change IS 'Numbers every change of a stored response.';

CREATE /*UNLOGGED*/ TABLE cacheproxy.response (
    id bigint PRIMARY KEY,
    key_hash bytea NOT NULL,
    variant_hash bytea NOT NULL,
    method text NOT NULL,
    uri text NOT NULL,
    variant text NOT NULL,
    vary text[] NOT NULL,
    local boolean NOT NULL,
    status smallint NOT NULL,
    reason text NOT NULL,
    fields text[] NOT NULL,
    trailers text[] NOT NULL,
    etag text,
    last_modified text,
    request_time timestamptz NOT NULL,
    response_time timestamptz NOT NULL,
    stored timestamptz NOT NULL DEFAULT now(),
    length bigint NOT NULL,
    size bigint NOT NULL,
    checksum bytea NOT NULL,
    content bytea,
    content_id bigint,
    hits bigint NOT NULL DEFAULT 0,
    used boolean NOT NULL DEFAULT false,
    last_used timestamptz,
    UNIQUE (key_hash, variant_hash)
);
ALTER TABLE cacheproxy.response ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX response_content ON cacheproxy.response (content_id) WHERE content_id IS NOT NULL;
COMMENT ON TABLE cacheproxy.response IS 'Stored responses, in the order of storing by id.';
COMMENT ON COLUMN cacheproxy.response.variant IS
    'What the request had in the fields that Vary names, one a line; empty without Vary.';
COMMENT ON COLUMN cacheproxy.response.local IS
    'Whether it came from the proxy''s own machine or link, and only clients on that machine may have it.';
COMMENT ON COLUMN cacheproxy.response.size IS 'What it counts against the size limit, in bytes.';
COMMENT ON COLUMN cacheproxy.response.checksum IS 'XXH3 of the content, 128 bits, least significant byte first.';
COMMENT ON COLUMN cacheproxy.response.content IS 'The content when it is at most 64 KiB; else see content_id.';
COMMENT ON COLUMN cacheproxy.response.used IS 'Whether it was used since eviction last passed it.';

CREATE /*UNLOGGED*/ TABLE cacheproxy.content (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    length bigint NOT NULL,
    kept_until timestamptz NOT NULL DEFAULT 'infinity'
);
CREATE INDEX content_kept_until ON cacheproxy.content (kept_until);
COMMENT ON TABLE cacheproxy.content IS
    'Content of more than 64 KiB. What no response refers to any more is removed some time after kept_until.';

CREATE /*UNLOGGED*/ TABLE cacheproxy.piece (
    content_id bigint NOT NULL,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (content_id, number)
);
ALTER TABLE cacheproxy.piece ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE cacheproxy.piece IS 'Content in pieces of 256 KiB; the last one has the rest.';

CREATE TABLE cacheproxy.invalidation (
    slot integer PRIMARY KEY,
    count bigint NOT NULL
);
COMMENT ON TABLE cacheproxy.invalidation IS
    'How often keys were made invalid, by two bytes of their hash. What was asked for before isn''t stored after.';

CREATE UNLOGGED TABLE cacheproxy.fetching (
    key_hash bytea PRIMARY KEY,
    host text NOT NULL,
    until timestamptz NOT NULL,
    done boolean NOT NULL DEFAULT false,
    waited boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE cacheproxy.fetching IS
    'Which host fetches which key for all of them, or has just done so; until then the others wait for it.';
COMMENT ON COLUMN cacheproxy.fetching.waited IS 'Whether another host is to be told when it is done.';

CREATE /*UNLOGGED*/ TABLE cacheproxy.usage (
    shard smallint PRIMARY KEY,
    bytes bigint NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE cacheproxy.usage IS
    'The sum of the sizes of all responses, in parts so that hosts that store at once don''t wait for each other.';

CREATE FUNCTION cacheproxy.slot(_key_hash bytea) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT get_byte(_key_hash, 10) + 256 * get_byte(_key_hash, 11)
$$;

-- What every change calls is in plpgsql, which keeps its plans.
CREATE FUNCTION cacheproxy.used() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(sum(bytes), 0)::bigint FROM cacheproxy.usage);
END $$;

CREATE FUNCTION cacheproxy.count_usage(_bytes bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cacheproxy.usage SET bytes = bytes + _bytes WHERE shard = pg_backend_pid() % 64;
    IF NOT FOUND THEN
        INSERT INTO cacheproxy.usage AS u VALUES (pg_backend_pid() % 64, _bytes)
            ON CONFLICT (shard) DO UPDATE SET bytes = u.bytes + excluded.bytes;
    END IF;
    RETURN _bytes;
END $$;

-- What is kept free of a store that may have this many bytes, so that storing needn't wait for room.
CREATE FUNCTION cacheproxy.margin(_most bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(_most / 64, least(_most / 8, 16777216))
$$;

-- Whether so much more may be stored, where the most is this. When it is getting tight, the host that makes
-- room is told how much is wanted.
CREATE FUNCTION cacheproxy.has_room(_size bigint, _most bigint, _used bigint DEFAULT cacheproxy.used())
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    _free bigint := _most - _used - _size;
BEGIN
    IF _free < cacheproxy.margin(_most) / 2 AND _size < _most / 2 THEN
        PERFORM pg_notify('cacheproxy_room', _size::text);
    END IF;
    RETURN _free >= -(_most / 128);
END $$;

-- Sizes are counted, and content kept for as long as it is referred to, whoever changes the responses; and a while
-- longer, for those who are being sent it.
CREATE FUNCTION cacheproxy.counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    _bytes bigint;
    _contents bigint[];
    _until timestamptz := CASE TG_OP WHEN 'INSERT' THEN 'infinity' ELSE now() + interval '2 minutes' END;
BEGIN
    SELECT sum(c.size), array_agg(c.content_id) FILTER (WHERE c.content_id IS NOT NULL)
        INTO _bytes, _contents FROM changed c;
    IF _bytes <> 0 THEN
        _bytes := cacheproxy.count_usage(CASE TG_OP WHEN 'INSERT' THEN _bytes ELSE -_bytes END);
    END IF;
    IF _contents IS NOT NULL THEN
        UPDATE cacheproxy.content SET kept_until = _until WHERE id = ANY (_contents) AND kept_until <> _until;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stored AFTER INSERT ON cacheproxy.response REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.counted();
CREATE TRIGGER removed AFTER DELETE ON cacheproxy.response REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.counted();

CREATE FUNCTION cacheproxy.resized() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cacheproxy.count_usage(new.size - old.size);
    RETURN NULL;
END $$;
CREATE TRIGGER resized AFTER UPDATE OF size ON cacheproxy.response
    FOR EACH ROW WHEN (old.size <> new.size) EXECUTE FUNCTION cacheproxy.resized();

CREATE FUNCTION cacheproxy.emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cacheproxy.usage;
    UPDATE cacheproxy.content SET kept_until = now() + interval '2 minutes' WHERE kept_until = 'infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER emptied AFTER TRUNCATE ON cacheproxy.response
    FOR EACH STATEMENT EXECUTE FUNCTION cacheproxy.emptied();

-- Tells the other hosts that what is stored under a key was replaced ('p') or removed ('r') by this change, and how
-- often keys of its slot have been made invalid.
CREATE FUNCTION cacheproxy.tell(_host text, _kind text, _key_hash bytea, _number bigint, _count bigint)
    RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('cacheproxy',
        _host || ' ' || _kind || ' ' || encode(_key_hash, 'hex') || ' ' || _number || ' ' || _count)
$$;

CREATE TABLE cacheproxy.state (
    name text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE cacheproxy.state IS 'The version of this schema, and what upkeep remembers.';
INSERT INTO cacheproxy.state VALUES ('version', '2');

-- Stores a whole response in place of those that it replaces, and returns the number of the change. NULL: it was not
-- stored, as its key was made invalid more often than _began times; 0: there is no room for it.
CREATE FUNCTION cacheproxy.publish(
    _host text, _began bigint, _key_hash bytea, _method text, _uri text,
    _variant_hash bytea, _variant text, _vary text[],
    _local boolean, _status smallint, _reason text, _fields text[], _trailers text[],
    _etag text, _last_modified text, _request_time timestamptz, _response_time timestamptz,
    _length bigint, _size bigint, _checksum bytea, _content bytea, _content_id bigint, _most bigint, _part_hash bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _count bigint;
    _told boolean;
    _leased boolean;
    _used bigint;
    _number bigint;
BEGIN
    -- One after another for a key, so that who makes it invalid is seen here or removes what is stored here.
    -- As an expression: a statement would be a query of its own.
    IF pg_advisory_xact_lock(hashtextextended(_uri, 0)) IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT coalesce((SELECT i.count FROM cacheproxy.invalidation i WHERE i.slot = cacheproxy.slot(_key_hash)), 0),
            EXISTS (SELECT FROM cacheproxy.response r WHERE r.key_hash = _key_hash),
            EXISTS (SELECT FROM cacheproxy.fetching f WHERE f.key_hash = _key_hash),
            (SELECT coalesce(sum(u.bytes), 0) FROM cacheproxy.usage u)
        INTO _count, _told, _leased, _used;
    IF _count > _began THEN
        RETURN NULL;
    END IF;
    IF _most - _used - _size < cacheproxy.margin(_most) AND NOT cacheproxy.has_room(_size, _most, _used) THEN
        RETURN 0;
    END IF;
    IF _content_id IS NULL AND _length > 65536 THEN
        INSERT INTO cacheproxy.content (length) VALUES (_length) RETURNING id INTO _content_id;
        INSERT INTO cacheproxy.piece VALUES (_content_id, 0, _content);
        _content := NULL;
    END IF;
    IF _told THEN
        DELETE FROM cacheproxy.response r
            WHERE r.key_hash = _key_hash AND (_variant = '' OR r.variant = '' OR r.variant_hash = _variant_hash
                OR r.uri <> _uri OR r.method <> _method);
    END IF;
    _number := nextval('cacheproxy.change');
    INSERT INTO cacheproxy.response (id, key_hash, variant_hash, method, uri, variant, vary, local, status, reason,
            fields, trailers, etag, last_modified, request_time, response_time, length, size, checksum,
            content, content_id)
        VALUES (_number, _key_hash, _variant_hash, _method, _uri, _variant, _vary, _local, _status, _reason,
            _fields, _trailers, _etag, _last_modified, _request_time, _response_time, _length, _size, _checksum,
            _content, _content_id);
    IF _variant <> '' THEN
        DELETE FROM cacheproxy.response d
            WHERE d.id IN (SELECT r.id FROM cacheproxy.response r WHERE r.key_hash = _key_hash
                ORDER BY r.id DESC OFFSET 32);
    END IF;
    -- The whole takes the place of a part.
    IF _part_hash IS NOT NULL THEN
        DELETE FROM cacheproxy.response r
            WHERE r.key_hash = _part_hash AND r.uri = _uri AND r.method = 'GET-part';
        IF FOUND THEN
            PERFORM cacheproxy.tell(_host, 'p', _part_hash, nextval('cacheproxy.change'), 0);
        END IF;
    END IF;
    -- What is new is no news to who doesn't wait for it: nobody has anything of it at hand.
    IF _leased THEN
        _told := cacheproxy.fetched(_key_hash) OR _told;
    END IF;
    IF _told THEN
        PERFORM cacheproxy.tell(_host, 'p', _key_hash, _number, _count);
    END IF;
    RETURN _number;
END $$;

-- Whoever looked the key up before this and asks who fetches it after, is to look it up again. Returns whether
-- somebody waits for it.
CREATE FUNCTION cacheproxy.fetched(_key_hash bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    _waited boolean;
BEGIN
    UPDATE cacheproxy.fetching SET done = true, until = now() + interval '2 s'
        WHERE key_hash = _key_hash RETURNING waited INTO _waited;
    RETURN coalesce(_waited, false);
END $$;

-- Keeps content for those who are being sent it.
CREATE FUNCTION cacheproxy.keep(_contents bigint[]) RETURNS void LANGUAGE sql AS $$
    UPDATE cacheproxy.content SET kept_until = greatest(kept_until, now() + interval '2 minutes')
    WHERE id = ANY (_contents)
$$;

-- Gives a stored response new metadata. Returns 'refreshed'; 'missing' when there is none; 'gone' when there is
-- another one, or when the key was made invalid more often than _began times.
CREATE FUNCTION cacheproxy.refresh(
    _host text, _began bigint, _key_hash bytea, _method text, _uri text,
    _variant_hash bytea, _variant text, _vary text[],
    _local boolean, _status smallint, _reason text, _fields text[], _trailers text[],
    _etag text, _last_modified text, _request_time timestamptz, _response_time timestamptz,
    _length bigint, _size bigint, _checksum bytea, _old_variant_hash bytea
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    _count bigint;
    _old record;
    _content bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(_uri, 0));
    _count := coalesce((SELECT i.count FROM cacheproxy.invalidation i
        WHERE i.slot = cacheproxy.slot(_key_hash)), 0);
    SELECT r.id, r.method, r.uri, r.variant, r.vary, r.length, r.checksum, r.content_id INTO _old
        FROM cacheproxy.response r
        WHERE r.key_hash = _key_hash AND r.variant_hash = _old_variant_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    ELSIF _count > _began OR _old.uri <> _uri OR _old.method <> _method
            OR _old.length <> _length OR _old.checksum <> _checksum THEN
        RETURN 'gone';
    ELSIF _old.variant = _variant AND _old.vary = _vary THEN
        UPDATE cacheproxy.response SET local = _local, status = _status, reason = _reason, fields = _fields,
            trailers = _trailers, etag = _etag, last_modified = _last_modified,
            request_time = _request_time, response_time = _response_time, size = _size
            WHERE id = _old.id;
        PERFORM cacheproxy.fetched(_key_hash);
        PERFORM cacheproxy.tell(_host, 'p', _key_hash, nextval('cacheproxy.change'), _count);
    ELSE
        SELECT r.content INTO _content FROM cacheproxy.response r WHERE r.id = _old.id;
        PERFORM cacheproxy.publish(
            _host, _began, _key_hash, _method, _uri, _variant_hash, _variant, _vary, _local, _status, _reason,
            _fields, _trailers, _etag, _last_modified, _request_time, _response_time,
            _length, _size, _checksum, _content, _old.content_id, NULL, NULL);
    END IF;
    RETURN 'refreshed';
END $$;

-- Removes these responses, except those that somebody changes just now, and tells the hosts that may have them
-- at hand; how many bytes that freed. 200 at most: a notification has its limit.
CREATE FUNCTION cacheproxy.evict(_ids bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _bytes bigint;
    _hashes text;
BEGIN
    WITH gone AS (
        DELETE FROM cacheproxy.response WHERE id IN (
            SELECT r.id FROM cacheproxy.response r WHERE r.id = ANY (_ids) FOR UPDATE SKIP LOCKED)
        RETURNING key_hash, size
    )
    SELECT sum(g.size), string_agg(encode(g.key_hash, 'hex'), ' ') INTO _bytes, _hashes FROM gone g;
    IF _hashes IS NOT NULL THEN
        PERFORM pg_notify('cacheproxy', '- g ' || nextval('cacheproxy.change') || ' ' || _hashes);
    END IF;
    RETURN coalesce(_bytes, 0);
END $$;

-- Makes a key invalid and removes every response that is stored under it; returns how often keys of its slot
-- have been made invalid, and what was removed.
CREATE FUNCTION cacheproxy.remove(
    _host text, _key_hash bytea, _method text, _uri text,
    OUT counted bigint, OUT variants bytea[], OUT sizes bigint[]
) LANGUAGE plpgsql AS $$
BEGIN
    -- What was made invalid may not come back with a crash of the server.
    PERFORM set_config('synchronous_commit', 'on', true);
    PERFORM pg_advisory_xact_lock(hashtextextended(_uri, 0));
    INSERT INTO cacheproxy.invalidation AS i
        VALUES (cacheproxy.slot(_key_hash), 1)
        ON CONFLICT (slot) DO UPDATE SET count = i.count + 1 RETURNING i.count INTO counted;
    WITH gone AS (
        DELETE FROM cacheproxy.response r
        WHERE r.key_hash = _key_hash AND r.method = _method AND r.uri = _uri
        RETURNING r.variant_hash, r.size
    )
    SELECT array_agg(g.variant_hash), array_agg(g.size) INTO variants, sizes FROM gone g;
    PERFORM cacheproxy.tell(_host, 'r', _key_hash, nextval('cacheproxy.change'), counted);
END $$;

-- Tells every host that anything may have changed.
CREATE FUNCTION cacheproxy.tell_all(_host text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('cacheproxy', _host || ' a')
$$;

-- Makes every key invalid.
CREATE FUNCTION cacheproxy.invalidate_all(_host text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    INSERT INTO cacheproxy.invalidation AS i SELECT slot, 1 FROM generate_series(0, 65535) slot
        ON CONFLICT (slot) DO UPDATE SET count = i.count + 1;
    PERFORM cacheproxy.tell_all(_host);
END $$;

-- Makes every key invalid and removes everything that is stored.
CREATE FUNCTION cacheproxy.remove_all(_host text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cacheproxy.invalidate_all(_host);
    DELETE FROM cacheproxy.response;
END $$;
