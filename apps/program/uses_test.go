package program

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/apps/catalogue"
	"github.com/gridos/sharedinfra/apps/preflight"
)

func TestUnit_WhatApplicationsNeedOfTheirProjectsIsAddedUp(t *testing.T) {
	t.Parallel()
	entry := func(project, namespace, repository string, options ...string) catalogue.Application {
		return catalogue.Application{Project: project, Namespace: namespace, Spec: application.Spec{
			Source: application.Source{RepoURL: repository}, SyncPolicy: application.SyncPolicy{SyncOptions: options},
		}}
	}
	settings := Settings{Applications: []catalogue.Application{
		entry("gridos", "", "https://git.example.com/b.git"),
		entry("gridos", "", "https://git.example.com/a.git"),
		entry("gridos", "", "https://git.example.com/b.git"),
		entry("platform", "tools", "https://git.example.com/c.git", "CreateNamespace=true"),
		entry("platform", "monitoring", "https://git.example.com/c.git"),
	}}
	assert.Equal(t, map[string]preflight.Use{
		"gridos": {Namespaces: []string{"gridos"}, Repositories: []string{"https://git.example.com/a.git", "https://git.example.com/b.git"}},
		"platform": {
			Namespaces: []string{"monitoring", "tools"}, Repositories: []string{"https://git.example.com/c.git"}, CreatesNamespaces: true,
		},
	}, settings.uses())
}
