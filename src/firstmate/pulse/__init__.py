"""The real-time process: carries adverts, addresses and ARP for `vrrp`. Standard library only, small."""
