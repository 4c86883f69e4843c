package services

import (
	"path"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// DatabaseServer is a live PostgreSQL server, as its clients know it.
type DatabaseServer struct {
	// Host is the server's name in the private zone, and Login its administrator's.
	Host, Login string
	// Databases are the names of its databases.
	Databases []string
}

// DatabaseServers returns the live PostgreSQL servers.
func DatabaseServers(c *arm.Cloud) (servers []DatabaseServer) {
	c.Look(func(v *arm.View) {
		for _, record := range v.All(typeServer) {
			server := DatabaseServer{
				Host: record.Outputs.Text("fullyQualifiedDomainName"), Login: record.Inputs.Text("administratorLogin"),
			}
			for _, database := range v.All(typeServer + "/databases") {
				if arm.Within(database.ID, record.ID) {
					server.Databases = append(server.Databases, path.Base(database.ID))
				}
			}
			servers = append(servers, server)
		}
	})
	return servers
}

// LoginServers returns the addresses of the live container registries.
func LoginServers(c *arm.Cloud) (addresses []string) {
	c.Look(func(v *arm.View) {
		for _, registry := range v.All(typeRegistry) {
			addresses = append(addresses, registry.Outputs.Text("loginServer"))
		}
	})
	return addresses
}

// PresentVersion returns what SecretVersion does to a login that may read a secret of the live
// vaults, or "" if none has the secret: who writes a value into a vault knows it without reading.
func PresentVersion(c *arm.Cloud, name string) (uri string) {
	c.Look(func(v *arm.View) {
		for _, secret := range v.All(typeSecret) {
			if path.Base(secret.ID) == name {
				uri = secret.Outputs.Text("properties.secretUriWithVersion")
			}
		}
	})
	return uri
}
