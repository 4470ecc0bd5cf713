package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/heraldpush/herald/faults"
)

// faultsPath is where faults on demand lie.
const faultsPath = "/v1/faults"

// The operations on faults on demand. A platform that has none refuses them.
var (
	GetFaults = &Operation[None, faults.Status]{
		Row: Row{http.MethodGet, faultsPath, "Shows the faults on demand that are in force."},
		runFaults: func(_ context.Context, s *faults.Simulator, _ None) (faults.Status, error) {
			return s.Status(), nil
		},
	}
	// PutFaults takes the text of a plan, as faults.Parse does.
	PutFaults = &Operation[json.RawMessage, faults.Status]{
		Row: Row{http.MethodPut, faultsPath, "Puts a plan of faults on demand in force."},
		runFaults: func(_ context.Context, s *faults.Simulator, text json.RawMessage) (faults.Status, error) {
			plan, err := faults.Parse(text)
			if err != nil {
				return faults.Status{}, faultsProblem(err)
			}
			st, err := s.Put(plan)
			return st, faultsProblem(err)
		},
	}
	DeleteFaults = &Operation[None, faults.Status]{
		Row: Row{http.MethodDelete, faultsPath, "Ends the plan of faults on demand."},
		runFaults: func(_ context.Context, s *faults.Simulator, _ None) (faults.Status, error) {
			return s.Clear(), nil
		},
	}
)

// faultsProblem returns what is wrong with a plan as a Problem.
func faultsProblem(err error) error {
	if wrong, ok := errors.AsType[*faults.PlanError](err); ok {
		return newProblem(http.StatusBadRequest, CodeFaults, wrong.Remedy, "%s", wrong.Error())
	}
	return err
}

// noFaults refuses what a platform without faults on demand cannot do.
func noFaults() error {
	return newProblem(http.StatusNotFound, CodeFaults, "`herald dev` has them.", "this platform has no faults on demand")
}
