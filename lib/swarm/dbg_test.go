package swarm
