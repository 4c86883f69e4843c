package store

import "github.com/prometheus/client_golang/prometheus"

var (
	poolConnections = prometheus.NewDesc("gridos_database_connections",
		"Connections of the pool by state.", []string{"state"}, nil)
	poolLimit = prometheus.NewDesc("gridos_database_connections_limit",
		"Connections that the pool may have (DATABASE_POOL_SIZE).", nil, nil)
	poolWaits = prometheus.NewDesc("gridos_database_waits_total",
		"Requests that had to wait for a connection.", nil, nil)
	poolWaited = prometheus.NewDesc("gridos_database_wait_seconds_total",
		"Time that requests have waited for a connection.", nil, nil)
	oldestPartition = prometheus.NewDesc("gridos_database_oldest_partition_timestamp_seconds",
		"When the oldest day begins that is still in the database, as this replica saw it within the last hour.", nil, nil)
	newestSample = prometheus.NewDesc("gridos_samples_newest_timestamp_seconds",
		"When the newest sample was measured of those batches of which this replica has stored any.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *Store) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(s, descriptions)
}

// Collect implements prometheus.Collector with the figures of the connection pool and the age of
// what is kept.
func (s *Store) Collect(metrics chan<- prometheus.Metric) {
	stat := s.pool.Stat()
	gauge := func(description *prometheus.Desc, value int32, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(poolConnections, stat.AcquiredConns(), "busy")
	gauge(poolConnections, stat.IdleConns(), "idle")
	gauge(poolLimit, stat.MaxConns())
	metrics <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
	metrics <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, stat.EmptyAcquireWaitTime().Seconds())
	if oldest := s.oldest.Load(); oldest != 0 {
		metrics <- prometheus.MustNewConstMetric(oldestPartition, prometheus.GaugeValue, float64(oldest))
	}
	if newest := s.newest.Load(); newest != 0 {
		metrics <- prometheus.MustNewConstMetric(newestSample, prometheus.GaugeValue, float64(newest))
	}
}
