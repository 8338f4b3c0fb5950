-- Makes the tables of versions 2 and 3 of the schema those of version 4. What is stored stays.

SET LOCAL statement_timeout = '10min';

ALTER TABLE cacheproxy.response
    ADD COLUMN first_byte bigint NOT NULL DEFAULT 0,
    ADD COLUMN whole_length bigint,
    ADD COLUMN boot bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
    ADD COLUMN boot_millis bigint NOT NULL DEFAULT 0,
    ADD COLUMN digest_algorithm text,
    ADD COLUMN digest bytea,
    ADD COLUMN authorized boolean NOT NULL DEFAULT false,
    ADD COLUMN class text NOT NULL DEFAULT 'ordinary',
    DROP CONSTRAINT response_key_hash_variant_hash_key,
    ADD UNIQUE (key_hash, variant_hash, first_byte);
CREATE INDEX response_digest ON cacheproxy.response (digest) WHERE digest IS NOT NULL;
ALTER TABLE cacheproxy.piece ADD COLUMN checksum bytea;

-- A part said so in its Content-Range alone.
UPDATE cacheproxy.response r SET first_byte = p.said[1]::bigint, whole_length = p.said[2]::bigint
    FROM (SELECT o.id, pg_catalog.regexp_match(line, '^content-range: bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})$', 'i') AS said
        FROM cacheproxy.response o, pg_catalog.unnest(o.fields) line WHERE o.method = 'GET-part') p
    WHERE p.id = r.id AND p.said IS NOT NULL;

-- Their parameters differ.
DROP FUNCTION IF EXISTS cacheproxy.publish, cacheproxy.refresh;
