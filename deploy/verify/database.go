package verify

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// database reads the ledger's views. Every number is made an exact integer in
// SQL, with oracle.Absent for NULL.
type database struct{ conn driver.Conn }

const absent = "-9223372036854775808" // oracle.Absent

func millis(column string) string {
	return "ifNull(toUnixTimestamp64Milli(" + column + "), " + absent + ")"
}

// nanos reads the integer that a Decimal(18, 9) is.
func nanos(column string) string { return "reinterpretAsInt64(ifNull(" + column + ", 0))" }

func scaled(column, factor string) string {
	return "ifNull(toInt64(round(" + column + " * " + factor + ")), " + absent + ")"
}

// End is the end of the last row.
func (d database) End(ctx context.Context) (int64, error) {
	var rows uint64
	var end int64
	err := d.conn.QueryRow(ctx, "SELECT count(), toUnixTimestamp64Milli(max(window_end)) FROM gpumeter.cost").Scan(&rows, &end)
	if rows == 0 {
		end = oracle.Absent
	}
	return end, err
}

// Records reads the resources.
func (d database) Records(ctx context.Context) ([]oracle.Record, error) {
	return all(ctx, d.conn, "SELECT node, resource, cluster, provider, region, sku, gpu_model, gpus, "+millis("`from`")+", "+millis("`to`")+
		", pricing_category, scheduler, "+scaled("idle_watts", "1000")+" FROM gpumeter.resources", func(r *oracle.Record) []any {
		return []any{&r.Node, &r.Resource, &r.Cluster, &r.Provider, &r.Region, &r.SKU, &r.GPUModel, &r.GPUs, &r.From, &r.To, &r.PricingCategory, &r.Scheduler, &r.IdleWatts}
	})
}

// Prices reads the prices.
func (d database) Prices(ctx context.Context) ([]oracle.Price, error) {
	return all(ctx, d.conn, "SELECT provider, region, sku, pricing_category, currency, "+nanos("price_per_hour")+", "+
		millis("effective_from")+", "+millis("effective_to")+", "+millis("known_at")+" FROM gpumeter.prices", func(p *oracle.Price) []any {
		return []any{&p.Provider, &p.Region, &p.SKU, &p.PricingCategory, &p.Currency, &p.PerHour, &p.From, &p.To, &p.KnownAt}
	})
}

// all reads a small table whole.
func all[T any](ctx context.Context, conn driver.Conn, sql string, fields func(*T) []any) ([]T, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	var list []T
	for rows.Next() {
		var v T
		if err := rows.Scan(fields(&v)...); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// rowColumns are the columns of cost as fields of a row has them.
func rowColumns() []string {
	return []string{
		millis("window_start"), millis("window_end"), "resource", "gpu", "slice", "allocation", "toInt8(state)",
		"cluster", "node", "provider", "region", "sku", "gpu_model", "user", "name", "namespace",
		"team", "project", "cost_center", "environment", "model", "model_version", "phase", "labels", "toString(attribution)",
		"gpu_ms", "used_gpu_ms", scaled("utilization_avg", "1000000"), scaled("sm_active_avg", "1000000"),
		"ifNull(toInt64(memory_used_max_bytes), " + absent + ")", scaled("energy_joules", "1000"),
		"price_status = 'priced'", "currency", "price_id",
		nanos("list_cost"), nanos("effective_cost"), nanos("used_cost"), nanos("waste_cost"),
		"toInt64(position_from)", "toInt64(position_to)", "runs",
	}
}

// A record is a row as it is scanned.
type record struct {
	oracle.Row
	state  int8
	labels map[string]string
	runs   []uint32
}

func (r *record) fields() []any {
	return []any{
		&r.WindowStart, &r.WindowEnd, &r.Resource, &r.GPU, &r.Slice, &r.Allocation, &r.state,
		&r.Cluster, &r.Node, &r.Provider, &r.Region, &r.SKU, &r.GPUModel, &r.User, &r.Name, &r.Namespace,
		&r.Team, &r.Project, &r.CostCenter, &r.Environment, &r.Model, &r.ModelVersion, &r.Phase, &r.labels, &r.Attribution,
		&r.GPUMs, &r.UsedGPUMs, &r.Utilization, &r.SMActive, &r.MemoryMax, &r.Energy,
		&r.Priced, &r.Currency, &r.PriceID, &r.ListCost, &r.EffectiveCost, &r.UsedCost, &r.WasteCost,
		&r.PositionFrom, &r.PositionTo, &r.runs,
	}
}

// row is the scanned row with lists of its own.
func (r *record) row() oracle.Row {
	row := r.Row
	row.State = oracle.State(r.state)
	row.Runs, row.Labels = nil, nil
	for _, ms := range r.runs {
		row.Runs = append(row.Runs, int64(ms))
	}
	for k, v := range r.labels {
		row.Labels = append(row.Labels, oracle.Label{Key: k, Value: v})
	}
	slices.SortFunc(row.Labels, func(a, b oracle.Label) int { return strings.Compare(a.Key, b.Key) })
	return row
}

// Rows reads the view cost in portions of neighbouring GPUs, and sorts each here:
// sorted by the server, rows of so many columns take ten times as long.
func (d database) Rows(ctx context.Context) iter.Seq2[oracle.Row, error] {
	return func(yield func(oracle.Row, error) bool) {
		portions, err := d.portions(ctx)
		if err != nil {
			yield(oracle.Row{}, err)
			return
		}
		for _, p := range portions {
			rows, err := d.portion(ctx, p)
			if err != nil {
				yield(oracle.Row{}, err)
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// portionRows is about how many rows are in memory at once.
const portionRows = 100_000

// A portion is the rows from one GPU of a resource to another.
type portion struct {
	first, last place
	rows        uint64
}

type place struct {
	resource, gpu string
	rows          uint64
}

// portions divides the ledger, in order of resource and GPU.
func (d database) portions(ctx context.Context) ([]portion, error) {
	places, err := all(ctx, d.conn, "SELECT resource, gpu, count() FROM gpumeter.cost GROUP BY resource, gpu ORDER BY resource, gpu",
		func(p *place) []any { return []any{&p.resource, &p.gpu, &p.rows} })
	if err != nil {
		return nil, err
	}
	var portions []portion
	for _, p := range places {
		if n := len(portions); n > 0 && portions[n-1].rows+p.rows <= portionRows {
			portions[n-1].last = p
			portions[n-1].rows += p.rows
			continue
		}
		portions = append(portions, portion{p, p, p.rows})
	}
	return portions, nil
}

func (d database) portion(ctx context.Context, p portion) ([]oracle.Row, error) {
	// resource alone is in the table's key, the pair would not be looked up in it.
	sql := "SELECT " + strings.Join(rowColumns(), ", ") + " FROM gpumeter.cost " +
		"WHERE resource BETWEEN ? AND ? AND (resource, gpu) >= (?, ?) AND (resource, gpu) <= (?, ?)"
	result, err := d.conn.Query(ctx, sql, p.first.resource, p.last.resource, p.first.resource, p.first.gpu, p.last.resource, p.last.gpu)
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }() // its error is that of Err
	rows := make([]oracle.Row, 0, p.rows)
	var r record
	fields := r.fields()
	for result.Next() {
		if err := result.Scan(fields...); err != nil {
			return nil, err
		}
		rows = append(rows, r.row())
	}
	slices.SortFunc(rows, func(a, b oracle.Row) int { return a.Compare(&b) })
	return rows, result.Err()
}
