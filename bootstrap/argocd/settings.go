package argocd

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/versions"
)

// Settings is the configuration of Argo CD.
type Settings struct {
	Chart helm.Chart
	// Environment is dev, test or prod.
	Environment string
	// Domain is the host name of the user interface.
	Domain string
	// ControllerReplicas is the number of application controllers. They divide the clusters among
	// themselves, and none takes over from another (Argo CD 3.4.4,
	// controller/sharding/sharding.go). With one cluster a second controller is idle, or it has the
	// cluster and at each restart waits until the idle one is ready.
	ControllerReplicas int
	// ServerMinReplicas and ServerMaxReplicas bound the API server's autoscaling.
	ServerMinReplicas, ServerMaxReplicas       int
	RepoServerReplicas, ApplicationSetReplicas int
	// RedisReplicas is the number of Redis servers, each on a node of its own; an odd number, so that
	// they can elect.
	RedisReplicas int
	// Admin lets the user admin sign in with the generated password.
	Admin bool
	// AdminPasswordIssued is when the password of the user admin was issued: a moment as RFC 3339
	// writes it. Another one issues another password, and ends the sessions that the old one opened.
	AdminPasswordIssued string
	SSO                 SSO
	Groups              Groups
	Notifications       notifications.Settings
	Projects            Projects
}

// URL is the address of the user interface.
func (s Settings) URL() string { return "https://" + s.Domain }

const maxReplicas = 20

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`)

// Load reads the Settings of environment, recording mistakes in r. told is who is told.
func Load(r *config.Reader, environment string, told notifications.Settings) Settings {
	s := Settings{
		Chart:                  helm.LoadChart(r, "chartRepository", "argocd", versions.ArgoCD),
		Environment:            environment,
		Domain:                 r.Text("argocdDomain", "argocd.gridos.example.com"),
		ControllerReplicas:     r.IntBetween("argocdControllerReplicas", 1, 1, maxReplicas),
		ServerMinReplicas:      r.IntBetween("argocdServerMinReplicas", 2, 1, maxReplicas),
		ServerMaxReplicas:      r.IntBetween("argocdServerMaxReplicas", 5, 1, maxReplicas),
		RepoServerReplicas:     r.IntBetween("argocdRepoServerReplicas", 2, 1, maxReplicas),
		ApplicationSetReplicas: r.IntBetween("argocdApplicationSetReplicas", 2, 1, maxReplicas),
		RedisReplicas:          r.IntBetween("argocdRedisReplicas", 3, 3, 7),
		// A shared password leaves no name in the log; outside dev people sign in as themselves, or
		// not at all.
		Admin:               r.Bool("argocdAdmin", environment == "dev"),
		AdminPasswordIssued: r.Text("argocdAdminPasswordIssued", "2024-01-01T00:00:00Z"),
		SSO:                 loadSSO(r),
		Groups:              loadGroups(r),
		Notifications:       told,
		Projects:            loadProjects(r, environment),
	}
	if s.ServerMinReplicas > s.ServerMaxReplicas {
		r.Check("argocdServerMaxReplicas", fmt.Errorf("%d is less than argocdServerMinReplicas %d; raise it",
			s.ServerMaxReplicas, s.ServerMinReplicas))
	}
	if s.RedisReplicas%2 == 0 {
		r.Check("argocdRedisReplicas", fmt.Errorf("%d servers cannot elect a leader safely; use an odd number", s.RedisReplicas))
	}
	if !hostName.MatchString(s.Domain) {
		r.Check("argocdDomain", fmt.Errorf("%q is not a host name; write it like argocd.dev.example.com", s.Domain))
	}
	r.Check("argocdAdminPasswordIssued", issued(s.AdminPasswordIssued, time.Now()))
	if !s.SSO.configured() && !s.Groups.empty() {
		r.Check("argocdSsoClientId", errors.New("is empty, so that no one can sign in with the groups of argocdAdminGroups, "+
			"argocdDeveloperGroups and argocdPipelineGroups; set it, or remove the groups"))
	}
	return s
}

// issued checks the moment of the admin's password.
func issued(moment string, now time.Time) error {
	at, err := time.Parse(time.RFC3339, moment)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a moment; write it like 2024-01-01T00:00:00Z", moment)
	case at.After(now):
		return fmt.Errorf("%s is still to come; Argo CD refuses sessions that are older than the password, so name a past moment", moment)
	}
	return nil
}
