-- Everything that the store calls, made again in the schema "public" as one that fails; and some that fit better what it
-- passes them, in place of what takes any type.

CREATE FUNCTION public.hijacked() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$;
DO $do$
DECLARE
    _it record;
BEGIN
    FOR _it IN SELECT DISTINCT ON (p.proname, pg_get_function_identity_arguments(p.oid)) p.proname,
            pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result, p.proretset AS many
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0
            AND p.proname IN ('now', 'nextval', 'encode', 'decode', 'get_byte', 'hashtextextended', 'pg_advisory_xact_lock',
                'pg_try_advisory_lock', 'pg_notify', 'pg_backend_pid', 'set_config', 'generate_series', 'unnest', 'ceil',
                'floor', 'sha256', 'convert_to', 'left', 'clock_timestamp', 'gen_random_uuid', 'replace', 'format',
                'current_database', 'current_setting', 'has_table_privilege', 'has_schema_privilege',
                'has_database_privilege', 'pg_is_in_recovery', 'date_part', 'extract', 'int8', 'text', 'int8eq', 'texteq')
            AND pg_get_function_identity_arguments(p.oid) !~ 'internal|any|OUT'
    LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS ''BEGIN RAISE ''''hijacked %s''''; END''',
            _it.proname, _it.arguments, CASE WHEN _it.many THEN 'SETOF' ELSE '' END, _it.result, _it.proname);
    END LOOP;
    FOR _it IN SELECT f.name, f.arguments, f.result FROM (VALUES
            ('hashtextextended', 'text, integer', 'bigint'), ('nextval', 'text', 'bigint'), ('unnest', 'bigint[]', 'bigint'),
            ('unnest', 'bytea[]', 'bytea'), ('unnest', 'text[]', 'text'), ('unnest', 'integer[]', 'integer'),
            ('encode', 'bytea, name', 'text'), ('set_config', 'name, text, boolean', 'text'),
            ('pg_notify', 'name, text', 'void')) AS f (name, arguments, result)
    LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE ''''hijacked %s''''; END''',
            _it.name, _it.arguments, _it.result, _it.name);
    END LOOP;
    FOR _it IN SELECT o.oid::bigint AS number, o.oprname, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r,
            format_type(o.oprresult, NULL) AS result FROM pg_operator o
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprkind = 'b'
            AND o.oprname IN ('+', '-', '*', '/', '%', '=', '<>', '<', '>', '<=', '>=', '||')
            AND ARRAY[o.oprleft, o.oprright]::regtype[] <@ '{int8, int2, int4, text, bytea, timestamptz, interval, bool, numeric}'
        UNION VALUES (1, '||', 'text', 'bigint', 'text'), (2, '||', 'text', 'bytea', 'text')
    LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION public.operated_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS
            ''BEGIN RAISE ''''hijacked operator''''; END''', _it.number, _it.l, _it.r, _it.result);
        EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.operated_%s, LEFTARG = %s, RIGHTARG = %s)',
            _it.oprname, _it.number, _it.l, _it.r);
    END LOOP;
END $do$;
CREATE AGGREGATE public.sum(bigint) (SFUNC = int8pl, STYPE = bigint);
CREATE AGGREGATE public.max(bigint) (SFUNC = int8larger, STYPE = bigint);
CREATE AGGREGATE public.array_agg(bigint) (SFUNC = array_append, STYPE = bigint[]);
CREATE AGGREGATE public.array_agg(bytea) (SFUNC = array_append, STYPE = bytea[]);
