package catalogue

import (
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/untyped"
	"github.com/gridos/sharedinfra/internal/versions"
)

// prometheusName is that of the Application, and of the release.
const prometheusName = "prometheus"

// prometheusWave comes before the application, whose rollouts ask Prometheus.
const prometheusWave = -10

// shipped are the entries that every environment has unless its configuration says otherwise.
func shipped(environment string) ([]Entry, error) {
	own, err := prometheus()
	if err != nil {
		return nil, err
	}
	values, err := untyped.PlainOf(own)
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
			// The release is called after the Application, and the Service prometheus-server after the
			// release: rollouts ask http://prometheus-server.monitoring in every environment.
			Name: prometheusName,
			Chart: &Chart{
				Repository: versions.Prometheus.Repository,
				Name:       versions.Prometheus.Name,
				Version:    versions.Prometheus.Version,
				Values:     values,
			},
			Namespace:  naming.NamespaceMonitoring,
			Project:    naming.ProjectPlatform,
			SyncWave:   &wave,
			SyncPolicy: &SyncPolicy{Options: []string{"CreateNamespace=true"}},
		},
	}, nil
}
