// Package serve runs the push service for good, on the folder that herald
// portal init made: the gateways, the courier with its activation door, and the
// platform's own API on the loopback interface.
//
// Nothing is made up here, unlike in platform/dev: teams, apps and credentials
// are the portal's, and devices come with enrolment codes.
package serve
