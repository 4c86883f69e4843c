package repository

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/object"
)

// Args is what Credentials needs. Every field is required.
type Args struct {
	Settings Settings
	// Namespace is Argo CD's.
	Namespace pulumi.StringInput
}

// Credentials are what Argo CD signs in to private repositories with.
type Credentials struct {
	pulumi.ResourceState
}

// New registers the credentials, if there are any. They are a template of Argo CD's, which it uses
// for every repository whose address begins with theirs, and which needs no list of repositories:
// the AppProjects have one.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Credentials, error) {
	c := &Credentials{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:repository:Credentials", name, c, opts...); err != nil {
		return nil, err
	}
	if args.Settings.Given() {
		_, err := object.NewSecret(ctx, name+"-secret", object.Metadata{
			Name:      pulumi.String("gridos-repository-credentials"),
			Namespace: args.Namespace,
			Labels:    pulumi.StringMap{"argocd.argoproj.io/secret-type": pulumi.String("repo-creds")},
		}, args.Settings.data(), pulumi.Parent(c))
		if err != nil {
			return nil, fmt.Errorf("repository: %w", err)
		}
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// data are the fields of Argo CD's Secret. Source: argo-cd.readthedocs.io, "Declarative Setup:
// Repository Credentials".
func (s Settings) data() pulumi.StringMap {
	data := pulumi.StringMap{"type": pulumi.String("git"), "url": pulumi.String(s.URL)}
	secret := func(text string) pulumi.StringInput {
		return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
	}
	switch {
	case s.usesApp():
		data["githubAppID"], data["githubAppInstallationID"] = pulumi.String(s.AppID), pulumi.String(s.InstallationID)
		data["githubAppPrivateKey"] = secret(s.AppPrivateKey)
	case s.DeployKey != "":
		data["sshPrivateKey"] = secret(s.DeployKey)
	default:
		data["username"], data["password"] = pulumi.String(s.Username), secret(s.Token)
	}
	return data
}
