/*
Command xp2p-abr writes one stream of several renditions.
*/
package main
