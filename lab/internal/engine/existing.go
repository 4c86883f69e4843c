package engine

import (
	"context"
	"strings"

	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// InfraSettings returns the settings of gridos-infra in the environment of s. The error has every
// mistake.
func InfraSettings(ctx context.Context, s site.Site) (infra.Settings, error) {
	values, err := projectfile.Config(ctx, s.ProjectDir(stacks.Infra.Directory), s.Environment)
	if err != nil {
		return infra.Settings{}, err
	}
	return infra.Load(config.FromMap(stacks.Infra.Name, s.Environment, values), s.Environment)
}

// Existing returns the resources that the environment expects in Azure before it is brought up,
// because they outlive environments: the key vault with the gateway's certificate, and the
// workspace of metrics.
func Existing(ctx context.Context, s site.Site) ([]azure.Existing, error) {
	settings, err := InfraSettings(ctx, s)
	if err != nil {
		return nil, err
	}
	var existing []azure.Existing
	if id := strings.Split(settings.Monitoring.MetricsWorkspaceID, "/"); len(id) > 1 {
		group, name := id[4], id[8] // the settings are checked
		existing = append(existing,
			azure.ExistingGroup(group, settings.Location), azure.ExistingMetricsWorkspace(group, name, settings.Location))
	}
	certificate := settings.Gateway.Certificate
	if !certificate.Configured() {
		return existing, nil
	}
	vault, secret, err := certificate.Parse()
	if err != nil {
		return nil, err
	}
	return append(existing,
		azure.ExistingGroup(certificate.ResourceGroup, settings.Location),
		azure.ExistingVault(certificate.ResourceGroup, vault, settings.Location, ""),
		azure.ExistingSecret(certificate.ResourceGroup, vault, secret),
	), nil
}
