// Package repository gives Argo CD the credentials of private Git repositories.
package repository

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/internal/config"
)

// Settings are the credentials: of one kind, or none for public repositories.
type Settings struct {
	// URL is what the credentials are for: a repository, or the beginning of the addresses of several.
	URL string
	// AppID, InstallationID and AppPrivateKey (PEM) are a GitHub App's.
	AppID, InstallationID, AppPrivateKey string
	// DeployKey is a private SSH key in PEM.
	DeployKey string
	// Token is a password or an access token, of Username.
	Username, Token string
}

// The keys of the configuration.
const (
	urlKey            = "repositoryCredentialsUrl"
	appIDKey          = "repositoryGithubAppId"
	installationIDKey = "repositoryGithubAppInstallationId"
	appPrivateKeyKey  = "repositoryGithubAppPrivateKey"
	deployKeyKey      = "repositoryDeployKey"
	usernameKey       = "repositoryUsername"
	tokenKey          = "repositoryToken"
)

// Load reads Settings, recording mistakes in r. No mistake quotes a secret.
func Load(r *config.Reader) Settings {
	s := Settings{
		URL:            r.String(urlKey, ""),
		AppID:          r.String(appIDKey, ""),
		InstallationID: r.String(installationIDKey, ""),
		AppPrivateKey:  r.Secret(appPrivateKeyKey),
		DeployKey:      r.Secret(deployKeyKey),
		// GitHub takes any name with a token.
		Username: r.String(usernameKey, "git"),
		Token:    r.Secret(tokenKey),
	}
	r.Check(urlKey, config.CheckPublic(s.URL))
	kinds := s.kinds()
	if len(kinds) > 1 {
		r.Check(kinds[1], fmt.Errorf("is a second kind of credentials beside %s; keep one", kinds[0]))
	}
	if s.usesApp() {
		s.checkApp(r)
	}
	if s.DeployKey != "" {
		r.Check(deployKeyKey, privateKey(s.DeployKey))
	}
	if s.Token != "" && s.Username == "" {
		r.Check(usernameKey, errors.New("is empty; Argo CD signs in with a token only if there is a name with it, such as git"))
	}
	if len(kinds) == 0 && s.URL != "" {
		r.Check(urlKey, fmt.Errorf("has no credentials; set %s, %s or %s with `pulumi config set --secret`, or remove it",
			appIDKey, deployKeyKey, tokenKey))
	}
	if len(kinds) > 0 {
		r.Check(urlKey, s.checkURL())
	}
	return s
}

// Given reports whether there are credentials.
func (s Settings) Given() bool { return len(s.kinds()) > 0 }

func (s Settings) usesApp() bool {
	return s.AppID != "" || s.InstallationID != "" || s.AppPrivateKey != ""
}

// kinds are the kinds of credentials that are given, each by a key of it.
func (s Settings) kinds() []string {
	var kinds []string
	if s.usesApp() {
		kinds = append(kinds, appIDKey)
	}
	if s.DeployKey != "" {
		kinds = append(kinds, deployKeyKey)
	}
	if s.Token != "" {
		kinds = append(kinds, tokenKey)
	}
	return kinds
}

func (s Settings) checkApp(r *config.Reader) {
	for _, number := range []struct{ key, id string }{{appIDKey, s.AppID}, {installationIDKey, s.InstallationID}} {
		if _, err := strconv.ParseUint(number.id, 10, 63); err != nil {
			r.Check(number.key, fmt.Errorf(
				"%q is not a number; a GitHub App takes its id, the id of its installation and its private key", number.id))
		}
	}
	if s.AppPrivateKey == "" {
		r.Check(appPrivateKeyKey, errors.New("is empty; set it with `pulumi config set --secret "+appPrivateKeyKey+" < key.pem`"))
		return
	}
	r.Check(appPrivateKeyKey, privateKey(s.AppPrivateKey))
}

// privateKey returns an error for a key with which Argo CD could not sign in.
func privateKey(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return errors.New("is not a private key in PEM; give it the whole file, from -----BEGIN to END-----, with its line breaks")
	}
	if strings.HasPrefix(block.Type, "ENCRYPTED") || x509.IsEncryptedPEMBlock(block) { //nolint:staticcheck // it is refused, not read
		return errors.New("is protected by a passphrase, which Argo CD cannot ask for; make one without")
	}
	return nil
}

// checkURL returns the mistakes in the address. A prefix ends in a slash: without one, the
// credentials for /team would also be sent to /team-of-others.
func (s Settings) checkURL() error {
	var errs []error
	ssh := strings.HasPrefix(s.URL, "ssh://") || strings.HasPrefix(s.URL, "git@")
	switch {
	case s.URL == "":
		return fmt.Errorf("is empty; say which repositories the credentials are for, such as https://github.com/gridos/")
	case s.DeployKey != "" && !ssh:
		errs = append(errs, fmt.Errorf(
			"%s is not reached by SSH, as %s needs; use an address such as git@github.com:gridos/sharedinfra.git", s.URL, deployKeyKey))
	case (s.usesApp() || s.Token != "") && !strings.HasPrefix(s.URL, "https://"):
		errs = append(errs, fmt.Errorf("%s is not reached by HTTPS, as %s needs; use an address such as https://github.com/gridos/",
			s.URL, s.kinds()[0]))
	}
	if !strings.HasSuffix(s.URL, "/") && !strings.HasSuffix(s.URL, ".git") {
		errs = append(errs, fmt.Errorf("%s is neither a repository nor the beginning of several; end it in .git or in a slash", s.URL))
	}
	return errors.Join(errs...)
}
