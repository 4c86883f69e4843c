package main

import (
	"context"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/stacks"
)

// existing returns what the environment expects in Azure before it is brought up: the key vault with the gateway's certificate,
// which outlives environments.
func existing(ctx context.Context, s site.Site) ([]azure.Existing, error) {
	values, err := projectfile.Config(ctx, s.ProjectDir(stacks.Infra.Directory), s.Environment)
	if err != nil {
		return nil, err
	}
	settings, err := infra.Load(config.FromMap(stacks.Infra.Name, s.Environment, values), s.Environment)
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
