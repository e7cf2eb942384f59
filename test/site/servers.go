//go:build linux

package site

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gx1replay/internal/access"
)

const clientPort, routesPort = "4222", "6222"

func (s *Site) serverName(host int) string { return "server" + strconv.Itoa(host+1) }

// url is the server of a host.
func (s *Site) url(host int) string {
	return "nats://" + net.JoinHostPort(s.Wire.Hosts[host].Addr, clientPort)
}

// urls are all servers.
func (s *Site) urls() string {
	var list []string
	for host := range s.Wire.Hosts {
		list = append(list, s.url(host))
	}
	return strings.Join(list, ",")
}

// StartServer starts the NATS server of a host, or starts it again on its files.
func (s *Site) StartServer(host int) error {
	name := s.serverName(host)
	conf := filepath.Join(s.dir, name+".conf")
	if err := s.configure(host, conf); err != nil {
		return fmt.Errorf("configuring %s: %w", name, err)
	}
	return s.start(host, name, nil, s.programs.Server, "-c", conf)
}

func (s *Site) configure(host int, conf string) error {
	const nobody = "nobody.conf"
	if err := os.WriteFile(filepath.Join(s.dir, nobody), nil, 0o600); err != nil {
		return err
	}
	var routes []string
	for _, h := range s.Wire.Hosts {
		routes = append(routes, net.JoinHostPort(h.Addr, routesPort))
	}
	f, err := os.Create(conf)
	if err != nil {
		return err
	}
	return errors.Join(access.WriteServer(f, access.Server{
		Name: s.serverName(host), Listen: net.JoinHostPort(s.Wire.Hosts[host].Addr, clientPort),
		StoreDir: filepath.Join(s.dir, s.serverName(host)), Users: nobody,
		Cluster: "c", ClusterListen: routes[host], Routes: routes,
	}), f.Close())
}

// KillServer kills the server of a host; its files stay.
func (s *Site) KillServer(host int) error { return s.kill(s.serverName(host)) }

// clusterLeads reports whether a server has ever become the cluster's leader.
func (s *Site) clusterLeads() bool {
	for host := range s.Wire.Hosts {
		if s.Said(s.serverName(host), "new metadata leader") {
			return true
		}
	}
	return false
}
