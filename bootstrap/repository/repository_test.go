package repository_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/repository"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

// newKey makes a private key in PEM.
func newKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func load(values map[string]string) (repository.Settings, error) {
	full := map[string]string{}
	for key, value := range values {
		full["p:"+key] = value
	}
	r := config.FromMap("p", "dev", full)
	return repository.Load(r), r.Err()
}

func register(t *testing.T, s repository.Settings) *mocks.Recorded {
	t.Helper()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		_, err := repository.New(ctx, "repository", repository.Args{Settings: s, Namespace: pulumi.String("argocd")})
		return err
	})
	require.NoError(t, err)
	return recorded
}

func TestUnit_WithoutCredentialsThereIsNoSecret(t *testing.T) {
	t.Parallel()
	s, err := load(nil)
	require.NoError(t, err)
	assert.Empty(t, register(t, s).OfType("kubernetes:core/v1:Secret"))
}

func TestUnit_EachKindBecomesWhatArgoCDReads(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, test := range map[string]struct {
		config map[string]string
		want   map[string]any
		secret string
	}{
		"GitHub App": {
			map[string]string{
				"repositoryCredentialsUrl": "https://github.com/gridos/", "repositoryGithubAppId": "12",
				"repositoryGithubAppInstallationId": "34", "repositoryGithubAppPrivateKey": key,
			},
			map[string]any{
				"type": "git", "url": "https://github.com/gridos/", "githubAppID": "12", "githubAppInstallationID": "34",
			},
			"githubAppPrivateKey",
		},
		"deploy key": {
			map[string]string{
				"repositoryCredentialsUrl": "git@github.com:gridos/sharedinfra.git", "repositoryDeployKey": key,
			},
			map[string]any{"type": "git", "url": "git@github.com:gridos/sharedinfra.git"},
			"sshPrivateKey",
		},
		"token": {
			map[string]string{"repositoryCredentialsUrl": "https://github.com/gridos/sharedinfra.git", "repositoryToken": key},
			map[string]any{"type": "git", "url": "https://github.com/gridos/sharedinfra.git", "username": "git"},
			"password",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(test.config)
			require.NoError(t, err)
			secrets := register(t, s).OfType("kubernetes:core/v1:Secret")
			require.Len(t, secrets, 1)
			metadata, data := secrets[0].Inputs["metadata"].ObjectValue(), secrets[0].Inputs["stringData"]
			assert.Equal(t, map[string]any{"argocd.argoproj.io/secret-type": "repo-creds"}, metadata["labels"].ObjectValue().Mappable())
			assert.Equal(t, "argocd", metadata["namespace"].StringValue())
			assert.Equal(t, "gridos-repository-credentials", metadata["name"].StringValue())
			for data.IsSecret() {
				data = data.SecretValue().Element
			}
			fields := data.ObjectValue()
			credential := fields[resource.PropertyKey(test.secret)]
			assert.True(t, credential.ContainsSecrets() || secrets[0].Inputs["stringData"].IsSecret(), "encrypted in the state")
			delete(fields, resource.PropertyKey(test.secret))
			assert.Equal(t, test.want, fields.Mappable())
		})
	}
}

func TestUnit_MistakesAreReportedTogetherAndQuoteNoSecret(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config map[string]string
		want   []string
	}{
		"two kinds, each wrong": {
			map[string]string{"repositoryGithubAppId": "x", "repositoryDeployKey": "hush", "repositoryCredentialsUrl": "https://h/team"},
			[]string{
				`repositoryGithubAppId: "x" is not a number`, "repositoryGithubAppInstallationId: \"\" is not a number",
				"repositoryGithubAppPrivateKey: is empty",
				"repositoryDeployKey: is a second kind of credentials beside repositoryGithubAppId",
				"repositoryDeployKey: is not a private key in PEM", "repositoryCredentialsUrl: https://h/team is not reached by SSH",
				"repositoryCredentialsUrl: https://h/team is neither a repository nor the beginning of several",
			},
		},
		"an installation without its App": {
			map[string]string{"repositoryGithubAppInstallationId": "0x1f", "repositoryToken": "hush", "repositoryCredentialsUrl": "https://h/team/"},
			[]string{
				`repositoryGithubAppId: "" is not a number`, `repositoryGithubAppInstallationId: "0x1f" is not a number`,
				"repositoryGithubAppPrivateKey: is empty", "repositoryToken: is a second kind of credentials beside repositoryGithubAppId",
			},
		},
		"a second token in the address": {
			map[string]string{"repositoryToken": "hush", "repositoryCredentialsUrl": "https://a:hush@h/team/"},
			[]string{"repositoryCredentialsUrl: has a password or token in the address"},
		},
		"a token for nothing": {
			map[string]string{"repositoryToken": "hush", "repositoryUsername": ""},
			[]string{"repositoryCredentialsUrl: is empty", "repositoryUsername: is empty"},
		},
		"a token over SSH": {
			map[string]string{"repositoryToken": "hush", "repositoryCredentialsUrl": "git@h:team/"},
			[]string{"repositoryCredentialsUrl: git@h:team/ is not reached by HTTPS, as repositoryToken needs"},
		},
		"nothing for an address": {
			map[string]string{"repositoryCredentialsUrl": "https://h/team/"},
			[]string{"repositoryCredentialsUrl: has no credentials"},
		},
		"a key with a passphrase": {
			map[string]string{
				"repositoryDeployKey":      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
				"repositoryCredentialsUrl": "ssh://git@h/team/",
			},
			[]string{"repositoryDeployKey: is protected by a passphrase"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(test.config)
			var mistakes *config.Error
			require.ErrorAs(t, err, &mistakes)
			assert.Len(t, mistakes.Mistakes, len(test.want))
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "hush")
		})
	}
}
