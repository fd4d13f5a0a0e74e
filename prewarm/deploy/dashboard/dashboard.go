package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// source is the data source that is chosen in the dashboard.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${source}")}

// query is an expression, in which # stands for what all metrics' names begin with and @ for the labels that choose the instance, and the name of
// what comes of it.
type query struct{ expression, legend string }

func (q query) target(id int, instant bool) *prometheus.DataqueryBuilder {
	expression := strings.NewReplacer("#", "tppfaas_prewarm_", "@", `instance=~"$instance"`).Replace(q.expression)
	t := prometheus.NewDataqueryBuilder().RefId(string(rune('A' + id))).Expr(expression).LegendFormat(q.legend).Datasource(source)
	if instant {
		return t.Instant()
	}
	return t.Range()
}

// figure returns a panel with one figure over the time that is shown.
func figure(title, help, unit string, q query) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(title).Description(help).Unit(unit).Datasource(source).Height(4).Span(4).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		GraphMode(common.BigValueGraphModeNone).ColorMode(common.BigValueColorModeNone).WithTarget(q.target(0, true))
}

// curve returns a panel with curves over time.
func curve(title, help, unit string, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().Title(title).Description(help).Unit(unit).Datasource(source).Height(8).Span(8).Min(0).
		LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, q := range queries {
		p.WithTarget(q.target(i, false))
	}
	return p
}

// stacked lays the curves on each other.
func stacked(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(40)
}

// quantiles are queries for those of a histogram.
func quantiles(name string) (list []query) {
	for _, q := range []string{"0.5", "0.95", "0.99"} {
		list = append(list, query{fmt.Sprintf(`histogram_quantile(%s, sum by (le) (rate(#%s_bucket{@}[$__rate_interval])))`, q, name), q})
	}
	return list
}

// build makes the dashboard, in the form that every Grafana imports; the newer one is for Grafana 12 and later.
//
//lint:ignore SA1019 see above
func build() (dashboard.Dashboard, error) {
	//lint:ignore SA1019 see above
	b := dashboard.NewDashboardBuilder("Prewarming").Uid("tppfaas-prewarm").Tags([]string{"tppfaas", "serverless"}).
		Description("What the controller (prewarm serve) sees, decides and reaches.").
		Refresh("10s").Time("now-1h", "now").Timezone("browser").Editable().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("source").Label("data source").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("instance").Label("controller").Datasource(source).
			Query(dashboard.StringOrMap{String: new("label_values(tppfaas_prewarm_info, instance)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).IncludeAll(true).Multi(true))

	b.WithRow(dashboard.NewRowBuilder("In all")).
		WithPanel(figure("Mode", "What the controller does with decisions.", units.NoUnit, query{`#mode{@} == 1`, "{{mode}}"}).TextMode(common.BigValueTextModeName)).
		WithPanel(figure("Cold starts", "Share of the invocations that have started.", units.PercentUnit,
			query{`sum(increase(#starts_total{start="cold",@}[$__range])) / sum(increase(#starts_total{@}[$__range]))`, ""})).
		WithPanel(figure("Hits", "Share of the containers that were asked for which an invocation has taken.", units.PercentUnit,
			query{`sum(increase(#warmup_outcomes_total{outcome="hit",@}[$__range])) / sum(increase(#warmups_total{@}[$__range]))`, ""})).
		WithPanel(figure("Wasted", "Share of the containers that were asked for which were never used.", units.PercentUnit,
			query{`sum(increase(#warmup_outcomes_total{outcome="wasted",@}[$__range])) / sum(increase(#warmups_total{@}[$__range]))`, ""})).
		WithPanel(figure("Waiting saved", "By how much invocations have waited less than on the platform alone, estimated.", units.Seconds,
			query{`sum(delta(#estimated_saved_seconds{@}[$__range]))`, ""})).
		WithPanel(figure("Memory, against the platform alone", "Idle and starting memory, as a share of what the platform alone would have, estimated.", units.PercentUnit,
			query{`sum(increase(#idle_memory_byte_seconds_total{@}[$__range])) / sum(increase(#estimated_alone_idle_memory_byte_seconds_total{@}[$__range]))`, ""}))

	b.WithRow(dashboard.NewRowBuilder("Starts and containers")).
		WithPanel(stacked(curve("Invocations", "By how they came to their containers.", units.RequestsPerSecond,
			query{`sum by (start) (rate(#starts_total{@}[$__rate_interval]))`, "{{start}}"}))).
		WithPanel(curve("Warm-ups", "Containers asked for, and what became of them.", units.OpsPerSecond,
			query{`sum(rate(#warmups_total{@}[$__rate_interval]))`, "asked for"},
			query{`sum by (outcome) (rate(#warmup_outcomes_total{@}[$__rate_interval]))`, "{{outcome}}"},
			query{`sum by (outcome) (rate(#renewals_total{@}[$__rate_interval]))`, "idle time renewed: {{outcome}}"})).
		WithPanel(curve("Memory that is idle or starting", "In the mean, and what it would be on the platform alone, estimated.", units.BytesIEC,
			query{`sum(rate(#idle_memory_byte_seconds_total{@}[$__rate_interval]))`, "spent"},
			query{`sum(rate(#estimated_alone_idle_memory_byte_seconds_total{@}[$__rate_interval]))`, "platform alone, estimated"},
			query{`sum(rate(#kept_memory_byte_seconds_total{@}[$__rate_interval]))`, "of it kept by renewing idle times"})).
		WithPanel(stacked(curve("Containers", "By what they do.", units.Short, query{`sum by (state) (#containers{@})`, "{{state}}"}))).
		WithPanel(curve("Waiting saved", "Seconds a second, estimated.", units.Short, query{`sum(deriv(#estimated_saved_seconds{@}[$__rate_interval]))`, "saved"})).
		WithPanel(curve("Notice", "How long before the invocation that took it a container was asked for.", units.Seconds, quantiles("warmup_notice_seconds")...))

	b.WithRow(dashboard.NewRowBuilder("Functions")).
		WithPanel(curve("Cold starts by function", "The ten with the most.", units.RequestsPerSecond,
			query{`topk(10, sum by (function) (rate(#function_starts_total{start="cold",@}[$__rate_interval])))`, "{{function}}"})).
		WithPanel(curve("Wasted by function", "The ten with the most.", units.OpsPerSecond,
			query{`topk(10, sum by (function) (rate(#function_wasted_total{@}[$__rate_interval])))`, "{{function}}"})).
		WithPanel(curve("Start times", "Medians of those measured, the ten longest.", units.Seconds, query{`topk(10, max by (function) (#function_start_time_seconds{@}))`, "{{function}}"}))

	b.WithRow(dashboard.NewRowBuilder("The controller")).
		WithPanel(curve("Decisions late by", "How much later than due they were made.", units.Seconds, quantiles("decision_lateness_seconds")...)).
		WithPanel(curve("Calibration", "Invocations that models have predicted lately, as sums of probabilities, over those that came. 1 is right.", units.Short,
			query{`sum by (model) (#model_predicted_invocations{@}) / sum by (model) (#model_came_invocations{@})`, "{{model}}"})).
		WithPanel(curve("Observations", "By where they come from, and those that were refused or invalid.", units.OpsPerSecond,
			query{`sum by (source) (rate(#source_observations_total{@}[$__rate_interval]))`, "{{source}}"},
			query{`sum by (source) (rate(#source_refused_total{@}[$__rate_interval]))`, "{{source}} refused"},
			query{`sum by (source) (rate(#source_invalid_total{@}[$__rate_interval]))`, "{{source}} invalid"})).
		WithPanel(curve("In flight", "Requests of the platform, and commands of the actuator.", units.Short,
			query{`sum(#requests_in_flight{@})`, "requests"}, query{`sum(#actuator_commands_in_flight{@})`, "commands"})).
		WithPanel(curve("Circuit", "1 while the actuator's circuit is not closed: nothing is asked for then.", units.Short, query{`max(#actuator_circuit{state!="closed",@})`, "open"}).Max(1)).
		WithPanel(curve("Memory of the controller", "Resident.", units.BytesIEC, query{`process_resident_memory_bytes{@} and on (instance) #info{@}`, "{{instance}}"}))
	return b.Build()
}
