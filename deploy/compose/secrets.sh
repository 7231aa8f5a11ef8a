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

gpumeter=$(password)
grafana=$(password)
printf %s "$gpumeter" >secrets/clickhouse_gpumeter
printf %s "$grafana" >secrets/clickhouse_grafana
password >secrets/grafana_admin

# gpumeter makes and fills the database gpumeter; grafana reads it, for a minute a query at most.
cat >secrets/clickhouse_users.xml <<XML
<clickhouse>
  <profiles>
    <grafana>
      <max_execution_time>60</max_execution_time>
      <max_memory_usage>4000000000</max_memory_usage>
    </grafana>
  </profiles>
  <users>
    <gpumeter>
      <password_sha256_hex>$(hash "$gpumeter")</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT ALL ON gpumeter.*</query>
        <query>GRANT TABLE ENGINE ON *</query>
      </grants>
    </gpumeter>
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
