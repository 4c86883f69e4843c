package argocd

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/appproject"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

// SSO configures how people sign in with Microsoft Entra ID. Without a client id this sign-in is
// off.
type SSO struct {
	// TenantID is the GUID of the directory, ClientID that of the app registration.
	TenantID, ClientID string
	// ClientSecret is the app registration's, or nil: then Argo CD proves who it is with the identity
	// of its pods, for which the registration needs a federated credential for the service account
	// argocd-server.
	ClientSecret pulumi.StringInput
}

// configured reports whether this sign-in is on.
func (s SSO) configured() bool { return s.ClientID != "" }

// workloadIdentity reports whether Argo CD signs in to the directory without a secret.
func (s SSO) workloadIdentity() bool { return s.configured() && s.ClientSecret == nil }

// Groups are the object ids (GUIDs) of the directory's groups, by the role that they have in Argo
// CD.
type Groups struct {
	Admins, Developers, Pipelines []string
}

func (g Groups) empty() bool { return len(g.Admins)+len(g.Developers)+len(g.Pipelines) == 0 }

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func checkGUID(value string) error {
	if !guid.MatchString(value) {
		return fmt.Errorf("%q is not a GUID; copy the id that the Azure portal shows", value)
	}
	return nil
}

func loadSSO(r *config.Reader) SSO {
	s := SSO{
		TenantID:     r.String("argocdSsoTenantId", ""),
		ClientID:     r.String("argocdSsoClientId", ""),
		ClientSecret: secret(r, "argocdSsoClientSecret"),
	}
	if !s.configured() {
		if s.ClientSecret != nil {
			r.Check("argocdSsoClientId", errors.New("is empty, but argocdSsoClientSecret is set; set both or none"))
		}
		return s
	}
	r.Check("argocdSsoClientId", checkGUID(s.ClientID))
	if s.TenantID == "" {
		r.Check("argocdSsoTenantId", errors.New("is empty, but argocdSsoClientId is set; set both or none"))
	} else {
		r.Check("argocdSsoTenantId", checkGUID(s.TenantID))
	}
	return s
}

func loadGroups(r *config.Reader) Groups {
	read := func(key string) []string {
		groups := r.Strings(key, nil)
		for _, group := range groups {
			r.Check(key, checkGUID(group))
		}
		return groups
	}
	return Groups{
		Admins:     read("argocdAdminGroups"),
		Developers: read("argocdDeveloperGroups"),
		Pipelines:  read("argocdPipelineGroups"),
	}
}

// secret reads a key that `pulumi config set --secret` sets. It is a secret from here on; nil means
// that it is not set.
func secret(r *config.Reader, key string) pulumi.StringInput {
	value := r.Secret(key)
	if value == "" {
		return nil
	}
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

// clientSecretKey is the entry of Argo CD's own Secret that holds the client secret.
const clientSecretKey = "oidc.entra.clientSecret"

// oidcConfig is the entry oidc.config of argocd-cm; source: Argo CD's operator manual, "Microsoft"
// under user management. It names no root certificate: the directory's is one that every machine
// trusts.
type oidcConfig struct {
	Name            string                 `json:"name"`
	Issuer          string                 `json:"issuer"`
	ClientID        string                 `json:"clientID"`
	ClientSecret    string                 `json:"clientSecret,omitempty"`
	Azure           *oidcAzure             `json:"azure,omitempty"`
	RequestedClaims map[string]claimDemand `json:"requestedIDTokenClaims"`
	RequestedScopes []string               `json:"requestedScopes"`
}

type oidcAzure struct {
	UseWorkloadIdentity bool `json:"useWorkloadIdentity"`
}

type claimDemand struct {
	Essential bool `json:"essential"`
}

// oidc returns the entry oidc.config, or "" when this sign-in is off.
func (s SSO) oidc() (string, error) {
	if !s.configured() {
		return "", nil
	}
	c := oidcConfig{
		Name:            "Microsoft Entra ID",
		Issuer:          "https://login.microsoftonline.com/" + s.TenantID + "/v2.0",
		ClientID:        s.ClientID,
		RequestedClaims: map[string]claimDemand{"groups": {Essential: true}},
		RequestedScopes: []string{"openid", "profile", "email"},
	}
	if s.workloadIdentity() {
		c.Azure = &oidcAzure{UseWorkloadIdentity: true}
	} else {
		c.ClientSecret = "$" + clientSecretKey
	}
	text, err := yaml.Marshal(c) //nolint:gosec // the field refers to the secret and is none
	if err != nil {
		return "", fmt.Errorf("oidc.config: %w", err)
	}
	return string(text), nil
}

// The roles of Argo CD. A user without a role sees nothing.
const (
	rolePlatformAdmin = "role:platform-admin"
	roleDeveloper     = "role:developer"
	roleCI            = "role:ci"
)

// policy returns the entry policy.csv of argocd-rbac-cm: what each role may do and which groups
// have it. Only platform admins can change a deployment without a commit: a sync applies what Git
// says.
func (g Groups) policy() string {
	allow := func(role, permission, object string) string {
		return "p, " + role + ", " + permission + ", " + object + ", allow"
	}
	const application, platform = naming.ProjectGridOS + "/*", naming.ProjectPlatform + "/*"
	lines := []string{
		"g, " + rolePlatformAdmin + ", role:admin",
		allow(roleDeveloper, "applications, get", application),
		allow(roleDeveloper, "applications, get", platform),
		allow(roleDeveloper, "applications, sync", application),
		allow(roleDeveloper, "logs, get", application),
		allow(roleDeveloper, "projects, get", naming.ProjectGridOS),
		allow(roleDeveloper, "projects, get", naming.ProjectPlatform),
		allow(roleDeveloper, "clusters, get", naming.ArgoCDInCluster),
		allow(roleCI, "applications, get", application),
		allow(roleCI, "applications, sync", application),
	}
	for _, permission := range appproject.RolloutActions() {
		lines = append(lines, allow(roleDeveloper, permission, application))
	}
	for _, mapping := range []struct {
		groups []string
		role   string
	}{{g.Admins, rolePlatformAdmin}, {g.Developers, roleDeveloper}, {g.Pipelines, roleCI}} {
		for _, group := range slices.Sorted(slices.Values(mapping.groups)) {
			lines = append(lines, "g, "+group+", "+mapping.role)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
