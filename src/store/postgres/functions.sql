-- Whoever calls a function, and whatever others have made in schemas that he looks into: names are found in pg_catalog
-- alone, and no literal leaves a choice between functions. These two have no path of their own, so that they are inlined.
CREATE OR REPLACE FUNCTION cacheproxy.slot(_key_hash bytea) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.get_byte(_key_hash, 10)
        OPERATOR(pg_catalog.+) (256 OPERATOR(pg_catalog.*) pg_catalog.get_byte(_key_hash, 11))
$$;

-- What is kept free of a store that may have this many bytes, so that storing needn't wait for room.
CREATE OR REPLACE FUNCTION cacheproxy.margin(_most bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(_most OPERATOR(pg_catalog./) 64::bigint,
        least(_most OPERATOR(pg_catalog./) 8::bigint, 16777216::bigint))
$$;

-- Tells the other hosts something, with what proves that it comes from who may read the secret, is told once only,
-- and when: anybody in this database can notify and hear.
CREATE OR REPLACE FUNCTION cacheproxy.notify(_channel text, _body text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _secret bytea := (SELECT pg_catalog.decode(s.value, 'hex'::text) FROM cacheproxy.state s WHERE s.name = 'secret'::text);
    _text text := _body || ' '::text || pg_catalog.nextval('cacheproxy.change'::regclass)::text
        || ' '::text || pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()))::bigint::text;
    _told bytea := pg_catalog.convert_to(_channel || ' '::text || _text, 'UTF8'::name);
    _proof text := pg_catalog.encode(pg_catalog.sha256(_secret || pg_catalog.sha256(_secret || _told)), 'hex'::text);
BEGIN
    PERFORM pg_catalog.pg_notify(_channel, _text || ' '::text || pg_catalog.left(_proof, 32));
END $$;

-- What every change calls is in plpgsql, which keeps its plans.
CREATE OR REPLACE FUNCTION cacheproxy.used() RETURNS bigint LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(pg_catalog.sum(bytes), 0)::bigint FROM cacheproxy.usage);
END $$;

CREATE OR REPLACE FUNCTION cacheproxy.count_usage(_bytes bigint) RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE cacheproxy.usage SET bytes = bytes + _bytes WHERE shard = pg_catalog.pg_backend_pid() % 64;
    IF NOT FOUND THEN
        INSERT INTO cacheproxy.usage AS u VALUES (pg_catalog.pg_backend_pid() % 64, _bytes)
            ON CONFLICT (shard) DO UPDATE SET bytes = u.bytes + excluded.bytes;
    END IF;
    RETURN _bytes;
END $$;

-- Whether so much more may be stored, where the most is this. When it is getting tight, the host that makes
-- room is told how much is wanted.
CREATE OR REPLACE FUNCTION cacheproxy.has_room(_size bigint, _most bigint, _used bigint DEFAULT cacheproxy.used())
    RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _free bigint := _most - _used - _size;
BEGIN
    IF _free < cacheproxy.margin(_most) / 2 AND _size < _most / 2 THEN
        PERFORM cacheproxy.notify('cacheproxy_room'::text, _size::text);
    END IF;
    RETURN _free >= -(_most / 128);
END $$;

-- Sizes are counted, and content kept for as long as it is referred to, whoever changes the responses; and a while
-- longer, for those who are being sent it.
CREATE OR REPLACE FUNCTION cacheproxy.counted() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _bytes bigint;
    _contents bigint[];
    _until timestamptz := CASE TG_OP WHEN 'INSERT' THEN 'infinity' ELSE pg_catalog.now() + interval '2 minutes' END;
BEGIN
    SELECT pg_catalog.sum(c.size), pg_catalog.array_agg(c.content_id) FILTER (WHERE c.content_id IS NOT NULL)
        INTO _bytes, _contents FROM changed c;
    IF _bytes <> 0 THEN
        _bytes := cacheproxy.count_usage(CASE TG_OP WHEN 'INSERT' THEN _bytes ELSE -_bytes END);
    END IF;
    IF _contents IS NOT NULL THEN
        UPDATE cacheproxy.content SET kept_until = _until WHERE id = ANY (_contents) AND kept_until <> _until;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION cacheproxy.resized() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cacheproxy.count_usage(new.size - old.size);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION cacheproxy.emptied() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM cacheproxy.usage;
    UPDATE cacheproxy.content SET kept_until = pg_catalog.now() + interval '2 minutes' WHERE kept_until = 'infinity';
    RETURN NULL;
END $$;

-- Tells the other hosts that what is stored under a key was replaced ('p') or removed ('r') by this change, and how
-- often keys of its slot have been made invalid.
CREATE OR REPLACE FUNCTION cacheproxy.tell(_host text, _kind text, _key_hash bytea, _number bigint, _count bigint)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cacheproxy.notify('cacheproxy'::text, _host || ' '::text || _kind || ' '::text
        || pg_catalog.encode(_key_hash, 'hex'::text) || ' '::text || _number::text || ' '::text || _count::text);
END $$;

-- Whether what is stored with this variant takes the place of another variant: a response without Vary and those with it
-- of each other. What is kept apart, and so selected by :client, takes no place and gives none.
CREATE OR REPLACE FUNCTION cacheproxy.displaces(_variant text, _vary text[], _other text, _other_vary text[])
    RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (_variant = '' OR _other = '') AND ':client'::text <> ALL (_vary || _other_vary);
END $$;

-- Stores a whole response in place of those that it replaces, and returns the number of the change. NULL: it was not
-- stored, as its key was made invalid more often than _began times; 0: there is no room for it.
CREATE OR REPLACE FUNCTION cacheproxy.publish(
    _host text, _began bigint, _key_hash bytea, _method text, _uri text,
    _variant_hash bytea, _variant text, _vary text[],
    _local boolean, _status smallint, _reason text, _fields text[], _trailers text[],
    _etag text, _last_modified text, _request_time timestamptz, _response_time timestamptz,
    _first_byte bigint, _whole_length bigint, _boot bytea, _boot_millis bigint,
    _digest_algorithm text, _digest bytea, _authorized boolean, _class text,
    _length bigint, _size bigint, _checksum bytea, _content bytea, _content_id bigint, _most bigint, _part_hash bytea
) RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _count bigint;
    _told boolean;
    _leased boolean;
    _used bigint;
    _number bigint;
    _apart boolean := ':client'::text = ANY (_vary);
BEGIN
    -- One after another for a key, so that who makes it invalid is seen here or removes what is stored here.
    -- As an expression: a statement would be a query of its own.
    IF pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(_uri, 0::bigint)) IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT coalesce((SELECT i.count FROM cacheproxy.invalidation i WHERE i.slot = cacheproxy.slot(_key_hash)), 0),
            EXISTS (SELECT FROM cacheproxy.response r WHERE r.key_hash = _key_hash),
            EXISTS (SELECT FROM cacheproxy.fetching f WHERE f.key_hash = _key_hash),
            (SELECT coalesce(pg_catalog.sum(u.bytes), 0) FROM cacheproxy.usage u)
        INTO _count, _told, _leased, _used;
    IF _count > _began THEN
        RETURN NULL;
    END IF;
    IF _most - _used - _size < cacheproxy.margin(_most) AND NOT cacheproxy.has_room(_size, _most, _used) THEN
        RETURN 0;
    END IF;
    IF _content_id IS NULL AND _length > 65536 THEN
        INSERT INTO cacheproxy.content (length) VALUES (_length) RETURNING id INTO _content_id;
        INSERT INTO cacheproxy.piece VALUES (_content_id, 0, _content, _checksum);
        _content := NULL;
    END IF;
    -- A part takes the place of no part that begins elsewhere. What is for all and what is kept apart stay side by side.
    IF _told THEN
        DELETE FROM cacheproxy.response r
            WHERE r.key_hash = _key_hash AND (r.uri <> _uri OR r.method <> _method
                OR CASE WHEN r.variant_hash = _variant_hash THEN r.first_byte = _first_byte
                    ELSE cacheproxy.displaces(_variant, _vary, r.variant, r.vary) END);
    END IF;
    _number := pg_catalog.nextval('cacheproxy.change'::regclass);
    INSERT INTO cacheproxy.response (id, key_hash, variant_hash, method, uri, variant, vary, local, status, reason,
            fields, trailers, etag, last_modified, request_time, response_time, first_byte, whole_length, boot,
            boot_millis, digest_algorithm, digest, authorized, class, length, size, checksum, content, content_id)
        VALUES (_number, _key_hash, _variant_hash, _method, _uri, _variant, _vary, _local, _status, _reason,
            _fields, _trailers, _etag, _last_modified, _request_time, _response_time, _first_byte, _whole_length, _boot,
            _boot_millis, _digest_algorithm, _digest, _authorized, _class, _length, _size, _checksum,
            _content, _content_id);
    IF _told AND _variant <> '' THEN
        -- Those that were used stay: many that nobody asks for twice don't take their place. Those kept apart and the
        -- others have room of their own.
        DELETE FROM cacheproxy.response d
            WHERE d.key_hash = _key_hash AND d.variant_hash IN (
                SELECT r.variant_hash FROM cacheproxy.response r
                    WHERE r.key_hash = _key_hash AND r.variant_hash <> _variant_hash
                        AND (':client'::text = ANY (r.vary)) = _apart
                    GROUP BY r.variant_hash
                    ORDER BY pg_catalog.max(r.hits) DESC, pg_catalog.max(r.id) DESC OFFSET 31);
    END IF;
    IF _told AND _whole_length IS NOT NULL THEN
        DELETE FROM cacheproxy.response d
            WHERE d.id IN (SELECT r.id FROM cacheproxy.response r
                WHERE r.key_hash = _key_hash AND r.variant_hash = _variant_hash AND r.id <> _number
                ORDER BY r.length DESC, r.id DESC OFFSET 63);
    END IF;
    -- The whole takes the place of its parts.
    IF _part_hash IS NOT NULL THEN
        DELETE FROM cacheproxy.response r
            WHERE r.key_hash = _part_hash AND r.uri = _uri AND r.method = 'GET-part' AND (
                r.variant_hash = _variant_hash OR cacheproxy.displaces(_variant, _vary, r.variant, r.vary));
        IF FOUND THEN
            PERFORM cacheproxy.tell(_host, 'p', _part_hash, pg_catalog.nextval('cacheproxy.change'::regclass), 0);
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
CREATE OR REPLACE FUNCTION cacheproxy.fetched(_key_hash bytea) RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _waited boolean;
BEGIN
    UPDATE cacheproxy.fetching SET done = true, until = pg_catalog.now() + interval '2 s'
        WHERE key_hash = _key_hash RETURNING waited INTO _waited;
    RETURN coalesce(_waited, false);
END $$;

-- Keeps content for those who are being sent it.
CREATE OR REPLACE FUNCTION cacheproxy.keep(_contents bigint[]) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE cacheproxy.content SET kept_until = greatest(kept_until, pg_catalog.now() + interval '2 minutes')
        WHERE id = ANY (_contents);
END $$;

-- Gives a stored response new metadata. Returns 'refreshed'; 'missing' when there is none; 'gone' when there is
-- another one, or when the key was made invalid more often than _began times.
CREATE OR REPLACE FUNCTION cacheproxy.refresh(
    _host text, _began bigint, _key_hash bytea, _method text, _uri text,
    _variant_hash bytea, _variant text, _vary text[],
    _local boolean, _status smallint, _reason text, _fields text[], _trailers text[],
    _etag text, _last_modified text, _request_time timestamptz, _response_time timestamptz,
    _first_byte bigint, _whole_length bigint, _boot bytea, _boot_millis bigint,
    _digest_algorithm text, _digest bytea, _authorized boolean, _class text,
    _length bigint, _size bigint, _checksum bytea, _old_variant_hash bytea
) RETURNS text LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _count bigint;
    _old record;
    _content bytea;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(_uri, 0::bigint));
    _count := coalesce((SELECT i.count FROM cacheproxy.invalidation i
        WHERE i.slot = cacheproxy.slot(_key_hash)), 0);
    SELECT r.id, r.method, r.uri, r.variant, r.vary, r.length, r.checksum, r.content_id INTO _old
        FROM cacheproxy.response r
        WHERE r.key_hash = _key_hash AND r.variant_hash = _old_variant_hash AND r.first_byte = _first_byte FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    ELSIF _count > _began OR _old.uri <> _uri OR _old.method <> _method
            OR _old.length <> _length OR _old.checksum <> _checksum THEN
        RETURN 'gone';
    ELSIF _old.variant = _variant AND _old.vary = _vary THEN
        UPDATE cacheproxy.response SET local = _local, status = _status, reason = _reason, fields = _fields,
            trailers = _trailers, etag = _etag, last_modified = _last_modified,
            request_time = _request_time, response_time = _response_time, whole_length = _whole_length,
            boot = _boot, boot_millis = _boot_millis, digest_algorithm = _digest_algorithm, digest = _digest,
            authorized = _authorized, class = _class, size = _size
            WHERE id = _old.id;
        PERFORM cacheproxy.fetched(_key_hash);
        PERFORM cacheproxy.tell(_host, 'p', _key_hash, pg_catalog.nextval('cacheproxy.change'::regclass), _count);
    ELSE
        SELECT r.content INTO _content FROM cacheproxy.response r WHERE r.id = _old.id;
        PERFORM cacheproxy.publish(
            _host, _began, _key_hash, _method, _uri, _variant_hash, _variant, _vary, _local, _status, _reason,
            _fields, _trailers, _etag, _last_modified, _request_time, _response_time, _first_byte, _whole_length, _boot,
            _boot_millis, _digest_algorithm, _digest, _authorized, _class,
            _length, _size, _checksum, _content, _old.content_id, NULL, NULL);
    END IF;
    RETURN 'refreshed';
END $$;

-- Removes these responses, except those that somebody changes just now, and tells the hosts that may have them
-- at hand; how many bytes that freed. 200 at most: a notification has its limit.
CREATE OR REPLACE FUNCTION cacheproxy.evict(_ids bigint[]) RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _bytes bigint;
    _hashes text;
BEGIN
    WITH gone AS (
        DELETE FROM cacheproxy.response WHERE id IN (
            SELECT r.id FROM cacheproxy.response r WHERE r.id = ANY (_ids) FOR UPDATE SKIP LOCKED)
        RETURNING key_hash, size
    )
    SELECT pg_catalog.sum(g.size), pg_catalog.string_agg(pg_catalog.encode(g.key_hash, 'hex'::text), ' '::text)
        INTO _bytes, _hashes FROM gone g;
    IF _hashes IS NOT NULL THEN
        PERFORM cacheproxy.notify('cacheproxy'::text,
            '- g '::text || pg_catalog.nextval('cacheproxy.change'::regclass)::text || ' '::text || _hashes);
    END IF;
    RETURN coalesce(_bytes, 0);
END $$;

-- Makes a key invalid and removes every response that is stored under it; returns how often keys of its slot
-- have been made invalid, and what was removed.
CREATE OR REPLACE FUNCTION cacheproxy.remove(
    _host text, _key_hash bytea, _method text, _uri text,
    OUT counted bigint, OUT variants bytea[], OUT sizes bigint[]
) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What was made invalid may not come back with a crash of the server.
    PERFORM pg_catalog.set_config('synchronous_commit'::text, 'on'::text, true);
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(_uri, 0::bigint));
    INSERT INTO cacheproxy.invalidation AS i
        VALUES (cacheproxy.slot(_key_hash), 1)
        ON CONFLICT (slot) DO UPDATE SET count = i.count + 1 RETURNING i.count INTO counted;
    WITH gone AS (
        DELETE FROM cacheproxy.response r
        WHERE r.key_hash = _key_hash AND r.method = _method AND r.uri = _uri
        RETURNING r.variant_hash, r.size
    )
    SELECT pg_catalog.array_agg(g.variant_hash), pg_catalog.array_agg(g.size) INTO variants, sizes FROM gone g;
    PERFORM cacheproxy.tell(_host, 'r', _key_hash, pg_catalog.nextval('cacheproxy.change'::regclass), counted);
END $$;

-- Removes one part, if what its place has is still this one.
CREATE OR REPLACE FUNCTION cacheproxy.remove_part(
    _host text, _key_hash bytea, _method text, _uri text, _variant_hash bytea, _first_byte bigint, _length bigint,
    _checksum bytea
) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(_uri, 0::bigint));
    DELETE FROM cacheproxy.response r
        WHERE r.key_hash = _key_hash AND r.method = _method AND r.uri = _uri AND r.variant_hash = _variant_hash
            AND r.first_byte = _first_byte AND r.length = _length AND r.checksum = _checksum;
    IF FOUND THEN
        PERFORM cacheproxy.tell(_host, 'p', _key_hash, pg_catalog.nextval('cacheproxy.change'::regclass), 0);
    END IF;
END $$;

-- Tells every host that anything may have changed.
CREATE OR REPLACE FUNCTION cacheproxy.tell_all(_host text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cacheproxy.notify('cacheproxy'::text, _host || ' a'::text);
END $$;

-- Makes every key invalid.
CREATE OR REPLACE FUNCTION cacheproxy.invalidate_all(_host text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_catalog.set_config('synchronous_commit'::text, 'on'::text, true);
    INSERT INTO cacheproxy.invalidation AS i SELECT slot, 1 FROM pg_catalog.generate_series(0, 65535) slot
        ON CONFLICT (slot) DO UPDATE SET count = i.count + 1;
    PERFORM cacheproxy.tell_all(_host);
END $$;

-- Makes every key invalid and removes everything that is stored.
CREATE OR REPLACE FUNCTION cacheproxy.remove_all(_host text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cacheproxy.invalidate_all(_host);
    DELETE FROM cacheproxy.response;
END $$;
