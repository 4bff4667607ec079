/**
 * The first schema. Everything that decides something (may this batch commit, which view is next) is a
 * function in the database, for two reasons. One call is one round trip and one transaction that no
 * client can leave half-way between two statements. And each statement inside a VOLATILE function in
 * READ COMMITTED takes a snapshot of its own, so what is read *after* a lock was waited for is read as
 * it is after the wait; a check in the same statement as the lock, or in a STABLE function, is not.
 *
 * Columns of `entry` are ordered by alignment, which saves padding in every row.
 *
 * `entry` has two indexes. The primary key changes with no update, so updates of values are
 * heap-only (HOT), which is what the fill factor keeps room for. `entry_expiry` is for the reaper
 * alone and holds only rows that have an expiry; a write that changes the *expiry* of a row costs one
 * more entry in each index (measured: 17 instead of 12 microseconds of the server's processor a row). Without the index the
 * reaper would read every row of the table once a cycle. It leads with the slot, like every key here,
 * so that a node reads only what it is primary of, and the table can be distributed by slot.
 *
 * SQLSTATEs of our own: RF001 fenced, RF002 gap, RF003 duplicate batch number, RF004 expiry change of a
 * row that is not there, RF005 older version over a newer one, RF006 conflict of view proposals.
 */
export const INITIAL_SCHEMA = /* sql */ `
CREATE TABLE ringfence.entry (
  version bigint NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  slot smallint NOT NULL,
  db smallint NOT NULL,
  type smallint NOT NULL,
  key text COLLATE "C" NOT NULL,
  value bytea,
  PRIMARY KEY (slot, db, key)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX entry_expiry ON ringfence.entry (slot, expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE ringfence.entry IS
  'Every key, tombstones (type 0) and expired rows included. Query kv_store instead.';

-- FLUSHALL and FLUSHDB: rows of the slot up to this version do not exist any more. db -1: all databases.
CREATE TABLE ringfence.floor (
  slot smallint NOT NULL,
  db smallint NOT NULL,
  version bigint NOT NULL,
  swept boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (slot, db)
) WITH (fillfactor = 50);
CREATE INDEX floor_unswept ON ringfence.floor (slot, db) WHERE NOT swept;

-- The right of one life of a node to write. Batches lock the row and never update it: a row updated a
-- thousand times a second gets slow under any long snapshot.
CREATE TABLE ringfence.lane (
  node text NOT NULL,
  incarnation text NOT NULL,
  generation bigint NOT NULL DEFAULT 0,
  epoch bigint,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (node, incarnation)
) WITH (fillfactor = 50);

CREATE TABLE ringfence.batch (
  node text NOT NULL,
  incarnation text NOT NULL,
  number bigint NOT NULL,
  epoch bigint NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (node, incarnation, number)
) WITH (autovacuum_vacuum_threshold = 1000);

CREATE TABLE ringfence.lease (
  node text NOT NULL,
  incarnation text NOT NULL,
  counter bigint NOT NULL DEFAULT 0,
  given_up boolean NOT NULL DEFAULT false,
  -- Lives of nodes, as node/incarnation, that this one has no working link with.
  complaints text[] NOT NULL DEFAULT '{}',
  -- Set when a complaint was settled against this node: it may not renew any more.
  expelled text,
  renewed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  member jsonb NOT NULL,
  PRIMARY KEY (node, incarnation)
) WITH (fillfactor = 20);

CREATE TABLE ringfence.view (
  epoch bigint PRIMARY KEY,
  -- The epoch that it follows. Unique: of several proposals for what comes after a view, one wins.
  previous bigint NOT NULL UNIQUE,
  id text NOT NULL,
  content jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Says why a batch may not commit. Always raises.
CREATE FUNCTION ringfence.refuse_batch(
  p_node text, p_incarnation text, p_generation bigint, p_epoch bigint, p_number bigint
) RETURNS void LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
  last_number bigint;
BEGIN
  PERFORM 1 FROM ringfence.lane l
    WHERE l.node = p_node AND l.incarnation = p_incarnation
      AND l.generation = p_generation AND l.epoch = p_epoch
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this lane may not write: generation % or epoch % is not current', p_generation, p_epoch
      USING ERRCODE = 'RF001';
  END IF;
  SELECT b.number INTO last_number FROM ringfence.batch b
    WHERE b.node = p_node AND b.incarnation = p_incarnation
    ORDER BY b.number DESC LIMIT 1;
  last_number := coalesce(last_number, 0);
  IF p_number <= last_number THEN
    RAISE EXCEPTION 'batch % was committed before; the last is %', p_number, last_number
      USING ERRCODE = 'RF003';
  END IF;
  RAISE EXCEPTION 'batch % may not follow batch %', p_number, last_number
    USING ERRCODE = 'RF002';
END
$function$;

CREATE FUNCTION ringfence.commit_batch(
  p_node text, p_incarnation text, p_generation bigint, p_epoch bigint, p_number bigint,
  put_slots int2[], put_dbs int2[], put_keys text[], put_types int2[], put_values bytea[],
  put_versions int8[], put_expires timestamptz[],
  del_slots int2[], del_dbs int2[], del_keys text[], del_versions int8[],
  exp_slots int2[], exp_dbs int2[], exp_keys text[], exp_versions int8[], exp_expires timestamptz[],
  floor_slots int2[], floor_dbs int2[], floor_versions int8[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
  touched bigint;
BEGIN
  -- Locks the lane and takes the next number, in one statement because each one costs as much as two rows.
  -- Its snapshot may be from before a wait for the lock. That can only hide the batch before this one, which
  -- refuses this one as a gap, and a refused batch is not done; it can show nothing that was not committed.
  -- A generation that was raised meanwhile is seen: the lane's row is looked at again after the wait.
  INSERT INTO ringfence.batch (node, incarnation, number, epoch)
    SELECT l.node, l.incarnation, p_number, p_epoch FROM ringfence.lane l
    WHERE l.node = p_node AND l.incarnation = p_incarnation
      AND l.generation = p_generation AND l.epoch = p_epoch
      AND (p_number > 1 AND EXISTS (SELECT 1 FROM ringfence.batch b
          WHERE b.node = p_node AND b.incarnation = p_incarnation AND b.number = p_number - 1)
        OR p_number = 1 AND NOT EXISTS (SELECT 1 FROM ringfence.batch b
          WHERE b.node = p_node AND b.incarnation = p_incarnation))
    FOR NO KEY UPDATE OF l
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    PERFORM ringfence.refuse_batch(p_node, p_incarnation, p_generation, p_epoch, p_number);
  END IF;
  -- Each run removes one block of 64 numbers and nothing before it, so that no run walks over what
  -- earlier ones removed while a long snapshot keeps those index entries alive.
  IF p_number % 64 = 0 THEN
    DELETE FROM ringfence.batch b
      WHERE b.node = p_node AND b.incarnation = p_incarnation
        AND b.number > p_number - 192 AND b.number <= p_number - 128;
  END IF;

  IF put_slots IS NOT NULL THEN
    INSERT INTO ringfence.entry AS e
        (slot, db, key, type, value, version, expires_at, created_at, updated_at)
      SELECT r.slot, r.db, r.key, r.type, r.value, r.version, r.expires_at, now(), now()
      FROM unnest(put_slots, put_dbs, put_keys, put_types, put_values, put_versions, put_expires)
        AS r(slot, db, key, type, value, version, expires_at)
      ON CONFLICT (slot, db, key) DO UPDATE SET
        type = excluded.type, value = excluded.value, version = excluded.version,
        expires_at = excluded.expires_at, updated_at = excluded.updated_at,
        -- What was gone (a tombstone, expired, flushed) and is written again is a new key.
        created_at = CASE
          -- The first look, once a batch, spares the second, once a row, where nothing was ever flushed.
          WHEN e.type = 0 OR e.expires_at <= now() OR (SELECT EXISTS (SELECT 1 FROM ringfence.floor)) AND EXISTS (
            SELECT 1 FROM ringfence.floor f
            WHERE f.slot = e.slot AND (f.db = e.db OR f.db = -1) AND f.version >= e.version)
          THEN excluded.created_at ELSE e.created_at END
        WHERE e.version <= excluded.version;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> cardinality(put_slots) THEN
      RAISE EXCEPTION 'a row of batch % is older than what the table has', p_number
        USING ERRCODE = 'RF005';
    END IF;
  END IF;

  IF del_slots IS NOT NULL THEN
    DELETE FROM ringfence.entry e
      USING unnest(del_slots, del_dbs, del_keys, del_versions) AS r(slot, db, key, version)
      WHERE e.slot = r.slot AND e.db = r.db AND e.key = r.key AND e.version <= r.version;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> cardinality(del_slots) AND EXISTS (
      SELECT 1 FROM unnest(del_slots, del_dbs, del_keys) AS r(slot, db, key)
        JOIN ringfence.entry e ON e.slot = r.slot AND e.db = r.db AND e.key = r.key)
    THEN
      RAISE EXCEPTION 'a delete of batch % is older than what the table has', p_number
        USING ERRCODE = 'RF005';
    END IF;
  END IF;

  IF exp_slots IS NOT NULL THEN
    UPDATE ringfence.entry e
      SET expires_at = r.expires_at, version = r.version, updated_at = now()
      FROM unnest(exp_slots, exp_dbs, exp_keys, exp_versions, exp_expires)
        AS r(slot, db, key, version, expires_at)
      WHERE e.slot = r.slot AND e.db = r.db AND e.key = r.key
        AND e.type <> 0 AND e.version <= r.version
        AND NOT EXISTS (
          SELECT 1 FROM ringfence.floor f
          WHERE f.slot = e.slot AND (f.db = e.db OR f.db = -1) AND f.version >= e.version);
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> cardinality(exp_slots) THEN
      RAISE EXCEPTION 'batch % changes the expiry of a row that is not there', p_number
        USING ERRCODE = 'RF004';
    END IF;
  END IF;

  IF floor_slots IS NOT NULL THEN
    INSERT INTO ringfence.floor AS f (slot, db, version)
      SELECT r.slot, r.db, max(r.version)
      FROM unnest(floor_slots, floor_dbs, floor_versions) AS r(slot, db, version)
      GROUP BY r.slot, r.db
      ON CONFLICT (slot, db) DO UPDATE
        SET version = excluded.version, swept = false, created_at = excluded.created_at
        WHERE f.version < excluded.version;
  END IF;
END
$function$;

CREATE FUNCTION ringfence.register(p_node text, p_incarnation text, p_member jsonb)
RETURNS void LANGUAGE plpgsql VOLATILE AS $function$
BEGIN
  INSERT INTO ringfence.lane (node, incarnation) VALUES (p_node, p_incarnation)
    ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO ringfence.lease (node, incarnation, member)
      VALUES (p_node, p_incarnation, p_member);
  ELSIF NOT EXISTS (
    SELECT 1 FROM ringfence.lease l
    WHERE l.node = p_node AND l.incarnation = p_incarnation AND NOT l.given_up)
  THEN
    -- A life that has ended does not begin again.
    RAISE EXCEPTION 'this incarnation was removed' USING ERRCODE = 'RF001';
  END IF;
END
$function$;

CREATE FUNCTION ringfence.renew(
  p_node text, p_incarnation text, p_complaints text[],
  OUT counter bigint, OUT epoch bigint, OUT view_id text, OUT leases jsonb, OUT now_ms bigint
) LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
  reason text;
BEGIN
  UPDATE ringfence.lease l
    SET counter = l.counter + 1, renewed_at = clock_timestamp(), complaints = p_complaints
    WHERE l.node = p_node AND l.incarnation = p_incarnation AND NOT l.given_up AND l.expelled IS NULL
    RETURNING l.counter INTO renew.counter;
  IF NOT FOUND THEN
    SELECT l.expelled INTO reason FROM ringfence.lease l
      WHERE l.node = p_node AND l.incarnation = p_incarnation;
    RAISE EXCEPTION '%', coalesce(reason, 'this incarnation has no lease any more')
      USING ERRCODE = 'RF001';
  END IF;
  -- Later statements: they see every view that was committed before the update got its row.
  SELECT v.epoch, v.id INTO renew.epoch, renew.view_id
    FROM ringfence.view v ORDER BY v.epoch DESC LIMIT 1;
  renew.epoch := coalesce(renew.epoch, 0);
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'node', l.node, 'incarnation', l.incarnation, 'counter', l.counter, 'givenUp', l.given_up,
      'complaints', l.complaints, 'expelled', l.expelled IS NOT NULL)
      ORDER BY l.node, l.incarnation), '[]')
    INTO renew.leases FROM ringfence.lease l;
  renew.now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
END
$function$;

CREATE FUNCTION ringfence.give_up(p_node text, p_incarnation text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $function$
BEGIN
  UPDATE ringfence.lease l SET given_up = true
    WHERE l.node = p_node AND l.incarnation = p_incarnation;
END
$function$;

-- Ends the right of one of a pair to renew, because of the complaint of p_by about p_about. False: there
-- is nothing to settle any more. Both rows are locked, in one order, so that of two settlements that
-- concern the same node one sees what the other did: nobody is expelled by somebody who was expelled, and
-- a pair loses one node, not two. A renewal of either is before this or after it.
CREATE FUNCTION ringfence.settle_complaint(
  p_by_node text, p_by_incarnation text, p_about_node text, p_about_incarnation text,
  p_loser_node text, p_loser_incarnation text, p_reason text
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
  standing integer;
BEGIN
  PERFORM 1 FROM ringfence.lease l
    WHERE (l.node, l.incarnation) IN
      ((p_by_node, p_by_incarnation), (p_about_node, p_about_incarnation))
    ORDER BY l.node, l.incarnation FOR NO KEY UPDATE;
  -- A statement of its own, so that it sees the rows as they are after the wait for their locks.
  SELECT count(*) INTO standing FROM ringfence.lease l
    WHERE NOT l.given_up AND l.expelled IS NULL
      AND ((l.node, l.incarnation) = (p_about_node, p_about_incarnation)
        OR (l.node, l.incarnation) = (p_by_node, p_by_incarnation)
          AND p_about_node || '/' || p_about_incarnation = ANY (l.complaints));
  IF standing <> 2 THEN
    RETURN false;
  END IF;
  UPDATE ringfence.lease l SET expelled = p_reason
    WHERE l.node = p_loser_node AND l.incarnation = p_loser_incarnation;
  RETURN true;
END
$function$;

CREATE FUNCTION ringfence.propose_view(
  p_epoch bigint, p_previous bigint, p_id text, p_content jsonb,
  member_nodes text[], member_incarnations text[],
  gone_nodes text[], gone_incarnations text[], gone_counters int8[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
  newest bigint;
  touched bigint;
  gone record;
  seen record;
BEGIN
  SELECT max(v.epoch) INTO newest FROM ringfence.view v;
  IF coalesce(newest, 0) <> p_previous OR p_epoch <= p_previous THEN
    RAISE EXCEPTION 'the newest view is %, not %', coalesce(newest, 0), p_previous
      USING ERRCODE = 'RF006';
  END IF;
  -- Waits for another proposal for the same place that is under way; who loses has locked nothing. As
  -- rows are only ever added after the newest one, the check above still holds once this has succeeded.
  BEGIN
    INSERT INTO ringfence.view (epoch, previous, id, content)
      VALUES (p_epoch, p_previous, p_id, p_content);
  EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'view % was decided by another proposal', p_epoch USING ERRCODE = 'RF006';
  END;

  -- These wait for batches in flight: afterwards none of an older epoch can commit.
  UPDATE ringfence.lane l SET epoch = p_epoch
    FROM unnest(member_nodes, member_incarnations) AS m(node, incarnation)
    WHERE l.node = m.node AND l.incarnation = m.incarnation;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> cardinality(member_nodes) THEN
    RAISE EXCEPTION 'a member of view % is not registered', p_epoch USING ERRCODE = 'RF006';
  END IF;
  UPDATE ringfence.lane l SET epoch = NULL WHERE l.epoch IS NOT NULL AND l.epoch <> p_epoch;

  -- Locking waits for a renewal in flight, and the row is then read as that renewal left it.
  FOR gone IN
    SELECT * FROM unnest(gone_nodes, gone_incarnations, gone_counters) AS g(node, incarnation, counter)
    ORDER BY g.node, g.incarnation
  LOOP
    SELECT l.counter, l.given_up INTO seen FROM ringfence.lease l
      WHERE l.node = gone.node AND l.incarnation = gone.incarnation FOR UPDATE;
    IF FOUND AND NOT seen.given_up AND seen.counter IS DISTINCT FROM gone.counter THEN
      RAISE EXCEPTION 'node % has renewed its lease', gone.node USING ERRCODE = 'RF006';
    END IF;
    DELETE FROM ringfence.lease l
      WHERE l.node = gone.node AND l.incarnation = gone.incarnation;
  END LOOP;
  IF EXISTS (
    SELECT 1 FROM unnest(member_nodes, member_incarnations) AS m(node, incarnation)
    WHERE NOT EXISTS (
      SELECT 1 FROM ringfence.lease l
      WHERE l.node = m.node AND l.incarnation = m.incarnation))
  THEN
    RAISE EXCEPTION 'a member of view % has no lease', p_epoch USING ERRCODE = 'RF006';
  END IF;

  DELETE FROM ringfence.view v WHERE v.epoch <= p_epoch - 1000;
END
$function$;

CREATE FUNCTION ringfence.type_name(type smallint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$function$ SELECT CASE type WHEN 0 THEN 'none' WHEN 1 THEN 'string' END $function$;

-- For people: the bytes as text where they are text, else with everything unprintable as octal escapes.
CREATE FUNCTION ringfence.readable(bytes bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
BEGIN
  RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  RETURN encode(bytes, 'escape');
END
$function$;

CREATE VIEW public.kv_store AS
  SELECT e.slot, e.db, e.key, ringfence.type_name(e.type) AS type, e.value, e.version,
    e.expires_at, e.created_at, e.updated_at
  FROM ringfence.entry e
  WHERE e.type <> 0
    AND (e.expires_at IS NULL OR e.expires_at > statement_timestamp())
    AND NOT EXISTS (
      SELECT 1 FROM ringfence.floor f
      WHERE f.slot = e.slot AND (f.db = e.db OR f.db = -1) AND f.version >= e.version);

CREATE VIEW public.kv_text AS
  SELECT k.slot, k.db, k.key, k.type, ringfence.readable(k.value) AS value, k.version,
    k.expires_at, k.created_at, k.updated_at
  FROM public.kv_store k;
`;
