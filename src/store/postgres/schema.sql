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
    first_byte bigint NOT NULL DEFAULT 0,
    whole_length bigint,
    boot bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
    boot_millis bigint NOT NULL DEFAULT 0,
    digest_algorithm text,
    digest bytea,
    authorized boolean NOT NULL DEFAULT false,
    class text NOT NULL DEFAULT 'ordinary',
    stored timestamptz NOT NULL DEFAULT pg_catalog.now(),
    length bigint NOT NULL,
    size bigint NOT NULL,
    checksum bytea NOT NULL,
    content bytea,
    content_id bigint,
    hits bigint NOT NULL DEFAULT 0,
    used boolean NOT NULL DEFAULT false,
    last_used timestamptz,
    UNIQUE (key_hash, variant_hash, first_byte)
);
ALTER TABLE cacheproxy.response ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX response_content ON cacheproxy.response (content_id) WHERE content_id IS NOT NULL;
CREATE INDEX response_digest ON cacheproxy.response (digest) WHERE digest IS NOT NULL;
COMMENT ON TABLE cacheproxy.response IS
    'Stored responses, in the order of storing by id. A part of a representation is one of its own, under the method GET-part.';
COMMENT ON COLUMN cacheproxy.response.variant IS
    'What the request had in the fields that Vary names, one a line; empty without Vary.';
COMMENT ON COLUMN cacheproxy.response.local IS
    'Whether it came from the proxy''s own machine or link, and only clients on that machine may have it.';
COMMENT ON COLUMN cacheproxy.response.first_byte IS 'Of a part the first byte that it has of the representation; else 0.';
COMMENT ON COLUMN cacheproxy.response.whole_length IS 'Of a part the length of the representation; NULL of a whole.';
COMMENT ON COLUMN cacheproxy.response.boot IS
    'The boot in which the host that fetched it received it; boot_millis is the time since that, by a clock that nobody sets.';
COMMENT ON COLUMN cacheproxy.response.digest_algorithm IS
    'sha256, sha512 or blake2b-256, where the URI names a digest: that is the content''s where all of it is there.';
COMMENT ON COLUMN cacheproxy.response.authorized IS 'Whether it was fetched with credentials, or by a URI with a signature.';
COMMENT ON COLUMN cacheproxy.response.class IS
    'What a rule says of the URI: ordinary, kept (the content never changes), versioned (it hardly ever does).';
COMMENT ON COLUMN cacheproxy.response.size IS 'What it counts against the size limit, in bytes.';
COMMENT ON COLUMN cacheproxy.response.checksum IS 'XXH3 of the content, 128 bits, least significant byte first.';
COMMENT ON COLUMN cacheproxy.response.content IS 'The content when it is at most 64 KiB; else see content_id.';
COMMENT ON COLUMN cacheproxy.response.content_id IS 'Larger content, which responses with the same digest may share.';
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
    checksum bytea,
    PRIMARY KEY (content_id, number)
);
ALTER TABLE cacheproxy.piece ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE cacheproxy.piece IS 'Content in pieces of 256 KiB; the last one has the rest.';
COMMENT ON COLUMN cacheproxy.piece.checksum IS
    'XXH3 of the bytes, as that of the whole content; NULL in what version 3 of this schema stored.';

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

CREATE TABLE cacheproxy.state (
    name text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE cacheproxy.state IS 'The version of this schema, what proves that a notification is ours, and what upkeep remembers.';
