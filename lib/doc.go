// Package lib is the map of the house.
package lib
