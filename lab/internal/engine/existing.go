package engine

import (
	"context"

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

// Existing returns the resources that the environment expects in Azure before it is brought up: the
// key vault with the gateway's certificate, which outlives environments.
func Existing(ctx context.Context, s site.Site) ([]azure.Existing, error) {
	settings, err := InfraSettings(ctx, s)
	if err != nil {
		return nil, err
	}
	certificate := settings.Gateway.Certificate
	if !certificate.Configured() {
		return nil, nil
	}
	vault, secret, err := certificate.Parse()
	if err != nil {
		return nil, err
	}
	return []azure.Existing{
		azure.ExistingGroup(certificate.ResourceGroup, settings.Location),
		azure.ExistingVault(certificate.ResourceGroup, vault, settings.Location, ""),
		azure.ExistingSecret(certificate.ResourceGroup, vault, secret),
	}, nil
}
