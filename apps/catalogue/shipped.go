package catalogue

import (
	"encoding/json"
	"fmt"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
)

// prometheusWave comes before the application, whose rollouts ask Prometheus.
const prometheusWave = -10

// shipped are the entries that every environment has unless its configuration says otherwise.
func shipped(environment string) ([]Entry, error) {
	values, err := valuesOf(prometheus())
	if err != nil {
		return nil, err
	}
	wave := prometheusWave
	return []Entry{
		{
			Name:    naming.Application + "-" + environment,
			Path:    naming.Overlay(environment),
			Project: naming.ProjectGridOS,
		},
		{
			// The release is called after the Application, and the Service prometheus-server after the release: rollouts ask
			// http://prometheus-server.monitoring in every environment.
			Name: "prometheus",
			Chart: &Chart{
				Repository: versions.Prometheus.Repository, Name: versions.Prometheus.Name, Version: versions.Prometheus.Version, Values: values,
			},
			Namespace:  naming.NamespaceMonitoring,
			Project:    naming.ProjectPlatform,
			SyncWave:   &wave,
			SyncPolicy: &SyncPolicy{Options: []string{"CreateNamespace=true"}},
		},
	}, nil
}

// valuesOf writes a chart's values as the free form that an Application has them in.
func valuesOf(values any) (map[string]any, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("%T cannot be written as JSON: %w", values, err)
	}
	var free map[string]any
	if err := json.Unmarshal(text, &free); err != nil {
		return nil, fmt.Errorf("%T is no object in JSON: %w", values, err)
	}
	return free, nil
}
