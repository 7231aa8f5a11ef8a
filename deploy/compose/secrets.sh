#!/bin/sh
# Makes the secrets of compose.yaml, once: passwords, and the users of ClickHouse with their hashes.
# The folder is closed to others; the files are not, for containers read them as users of their own.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
	echo "secrets/ is there already: remove it to make new ones, then start again" >&2
	exit 1
fi
umask 077
mkdir secrets

password() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

migrator=$(password)
writer=$(password)
grafana=$(password)
printf %s "$migrator" >secrets/clickhouse_migrator
printf %s "$writer" >secrets/clickhouse_writer
printf %s "$grafana" >secrets/clickhouse_grafana
password >secrets/grafana_admin

# One user makes and migrates the database gpumeter, one fills it; grafana reads it, within limits that it cannot lift.
# The grants and limits are those that gpumeter migrate --users prints.
cat >secrets/clickhouse_users.xml <<XML
<clickhouse>
  <profiles>
    <grafana>
      <readonly>2</readonly>
      <allow_ddl>0</allow_ddl>
      <max_execution_time>60</max_execution_time>
      <max_memory_usage>4000000000</max_memory_usage>
      <max_result_rows>1000000</max_result_rows>
      <max_result_bytes>1000000000</max_result_bytes>
      <max_concurrent_queries_for_user>16</max_concurrent_queries_for_user>
      <constraints>
        <readonly><const/></readonly>
        <allow_ddl><const/></allow_ddl>
        <max_execution_time><min>1</min><max>120</max></max_execution_time>
        <max_memory_usage><min>1</min><max>4000000000</max></max_memory_usage>
        <max_result_rows><min>1</min><max>1000000</max></max_result_rows>
        <max_result_bytes><min>1</min><max>1000000000</max></max_result_bytes>
        <max_concurrent_queries_for_user><const/></max_concurrent_queries_for_user>
      </constraints>
    </grafana>
  </profiles>
  <users>
    <gpumeter_migrator>
      <password_sha256_hex>$(hash "$migrator")</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER TABLE, DROP VIEW, SELECT ON gpumeter.*</query>
        <query>GRANT TABLE ENGINE ON ReplacingMergeTree</query>
        <query>GRANT INSERT ON gpumeter.migrations</query>
        <query>GRANT INSERT ON gpumeter.cells_history</query>
      </grants>
    </gpumeter_migrator>
    <gpumeter_writer>
      <password_sha256_hex>$(hash "$writer")</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SELECT(version) ON gpumeter.migrations</query>
        <query>GRANT INSERT ON gpumeter.cells</query>
        <query>GRANT INSERT ON gpumeter.cells_history</query>
        <query>GRANT INSERT ON gpumeter.samples_log</query>
        <query>GRANT INSERT ON gpumeter.processes_log</query>
        <query>GRANT INSERT ON gpumeter.allocations_log</query>
        <query>GRANT INSERT ON gpumeter.resources_log</query>
        <query>GRANT INSERT ON gpumeter.prices_log</query>
        <query>GRANT INSERT ON gpumeter.tags_log</query>
        <query>GRANT INSERT ON gpumeter.findings_log</query>
        <query>GRANT INSERT ON gpumeter.dead_letters_log</query>
        <query>GRANT INSERT ON gpumeter.dead_letter_marks</query>
        <query>GRANT INSERT ON gpumeter.generations</query>
        <query>GRANT SELECT(topic_id, generation) ON gpumeter.generations</query>
        <query>GRANT SELECT ON gpumeter.cells</query>
      </grants>
    </gpumeter_writer>
    <grafana>
      <password_sha256_hex>$(hash "$grafana")</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>grafana</profile>
      <quota>default</quota>
      <grants><query>GRANT SELECT ON gpumeter.*</query></grants>
    </grafana>
  </users>
</clickhouse>
XML
chmod 444 secrets/*
echo "made secrets/; Grafana's admin has the password in secrets/grafana_admin"
