package application

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
)

func TestUnit_AnApplicationSaysWhichHostItsCommitsAreOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source Source
		want   string
	}{
		{Source{RepoURL: "https://github.com/gridos/sharedinfra.git", Path: "p"}, "github.com"},
		{Source{RepoURL: "https://GitHub.com/gridos/sharedinfra", Path: "p"}, "github.com"},
		{Source{RepoURL: "git@github.com:gridos/sharedinfra.git", Path: "p"}, "github.com"},
		{Source{RepoURL: "ssh://git@ssh.github.com:443/gridos/sharedinfra.git", Path: "p"}, "ssh.github.com"},
		{Source{RepoURL: "https://git.example.com:8443/x/y.git", Path: "p"}, "git.example.com"},
		{Source{RepoURL: "http://127.0.0.1:3000/gridos.git", Path: "p"}, "127.0.0.1"},
		{Source{RepoURL: "http://[::1]:3000/gridos.git", Path: "p"}, ""},
		{Source{RepoURL: "file:///srv/gridos.git", Path: "p"}, ""},
		{Source{RepoURL: versions.Prometheus.Repository, Chart: "prometheus"}, ""},
		{Source{RepoURL: "ghcr.io/owner/charts", Chart: "x"}, ""},
	} {
		assert.Equal(t, test.want, gitHost(test.source), test.source.RepoURL)
		labels := metadata(Args{Name: "a", Environment: "dev", Spec: Spec{Source: test.source}}).Labels
		if test.want == "" {
			assert.NotContains(t, labels, naming.LabelGitHost, test.source.RepoURL)
		} else {
			assert.Equal(t, pulumi.String(test.want), labels[naming.LabelGitHost], test.source.RepoURL)
		}
	}
}
